"""Logging's and Cloud Run's REST calls, and the load balancer before a service's instances."""

from __future__ import annotations

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.gcp.error_table import ERRORS_BY_KEY
from services.sandbox.common.error_responses import known_error_response
from services.sandbox.common.fault_injection import error_body
from services.sandbox.common.identities import current_account
from services.sandbox.http.bigquery_routes import HandlerWrapper
from services.sandbox.stand_ins import run_v1
from services.sandbox.stand_ins.cloud_logging import entries_from_stdout
from services.sandbox.stand_ins.log_filter import FilterError
from services.sandbox.stand_ins.request_messages import RequestRefused
from services.sandbox.stand_ins.run_resources import Resource, page
from services.sandbox.state import SandboxState

_KNATIVE_SERVICE = "/apis/serving.knative.dev/v1/namespaces/{project}/services/{service}"
_SERVICES = "/v2/projects/{project}/locations/{location}/services"


def routes(state: SandboxState, wrap_handler: HandlerWrapper) -> list[Route]:
    """Cloud Logging v2, Cloud Run Admin v2, and /run/{service}: where a service's own address points."""
    api = _RunAndLoggingHandlers(state)
    load_balancer = wrap_handler("balancer", "request", api.forward_to_instance)
    return [
        Route("/v2/entries:list", wrap_handler("logging", "entries.list", api.list_entries), methods=["POST"]),
        Route("/v2/entries:write", wrap_handler("logging", "entries.write", api.write_entries), methods=["POST"]),
        Route("/sandbox/stdout", wrap_handler("agent", "stdout", api.ingest_stdout), methods=["POST"]),
        Route(
            "/v2/{name:path}:testIamPermissions", wrap_handler("run", "permissions", api.permissions), methods=["POST"]
        ),
        *(
            Route(path, wrap_handler("run", method, handler), methods=[verb])
            for path, verb, method, handler in (
                (_SERVICES, "GET", "services.list", api.list_services),
                (f"{_SERVICES}/{{service}}", "GET", "services.get", api.get_service),
                (f"{_SERVICES}/{{service}}", "PATCH", "services.update", api.update_service),
                (f"{_SERVICES}/{{service}}/revisions", "GET", "revisions.list", api.list_revisions),
                (f"{_SERVICES}/{{service}}/revisions/{{revision}}", "GET", "revisions.get", api.get_revision),
                (
                    "/v2/projects/{project}/locations/{location}/operations/{operation}",
                    "GET",
                    "operations.get",
                    api.get_operation,
                ),
            )
        ),
        Route(_KNATIVE_SERVICE, wrap_handler("run", "services.get", api.get_knative_service), methods=["GET"]),
        Route(_KNATIVE_SERVICE, wrap_handler("run", "services.update", api.replace_service), methods=["PUT"]),
        Route("/run/{service}/{path:path}", load_balancer, methods=["GET", "POST"]),
        Route("/run/{service}", load_balancer, methods=["GET", "POST"]),
    ]


class _RunAndLoggingHandlers:
    """The handlers, over one sandbox's state."""

    def __init__(self, state: SandboxState) -> None:
        self.state = state

    # --- Logging --------------------------------------------------------------------------------------------------

    async def list_entries(self, request: Request) -> Response:
        state = self.state
        if (error_key := state.limits.check_log_read(state.clock.now().timestamp())) is not None:
            return known_error_response(error_key, project=state.project)
        try:
            return JSONResponse(state.logs.list(await request.json()))
        except RequestRefused as error:
            return _refusal(error)
        except (FilterError, ValueError) as error:
            return JSONResponse(error_body(400, str(error)), 400)

    async def write_entries(self, request: Request) -> Response:
        try:
            self.state.logs.write(await request.json())
        except RequestRefused as error:
            return _refusal(error)
        return JSONResponse({})

    async def ingest_stdout(self, request: Request) -> Response:
        """Cloud Run's logging agent: `writes` to a service's stdout, {timestamp, text} each, become entries."""
        body = await request.json()
        entries = [
            {"timestamp": write["timestamp"], **entry}
            for write in body["writes"]
            for entry in entries_from_stdout(write["text"])
        ]
        self.state.logs.add(entries, {"resource": body["resource"]}, self.state.logs.ingestion_delay_s)
        return JSONResponse({})

    # --- Cloud Run ------------------------------------------------------------------------------------------------

    async def list_services(self, request: Request) -> Response:
        run, prefix = self.state.cloud_run, f"{_resource_name(request)}/"
        services = [run.get(name) or {} for name in sorted(run.services) if name.startswith(prefix)]
        return _page(request, services, "services")

    async def list_revisions(self, request: Request) -> Response:
        """The revisions of a service, newest first; of `-` in all services."""
        service = _resource_name(request).removesuffix("/revisions")
        parents = [service] if not service.endswith("/-") else list(self.state.cloud_run.services)
        if not all(map(self.state.cloud_run.get, parents)):
            return _no_resource(request, "SERVICE", "service")
        revisions = [r for name, r in self.state.cloud_run.revisions.items() if name.rsplit("/", 2)[0] in parents]
        return _page(request, sorted(revisions, key=lambda r: str(r["createTime"]), reverse=True), "revisions")

    async def get_service(self, request: Request) -> Response:
        service = self.state.cloud_run.get(_resource_name(request))
        return _no_resource(request, "SERVICE", "service") if service is None else JSONResponse(service)

    async def get_revision(self, request: Request) -> Response:
        self.state.cloud_run.get(_resource_name(request).rsplit("/", 2)[0])
        revision = self.state.cloud_run.revisions.get(_resource_name(request))
        return _no_resource(request, "REVISION", "revision") if revision is None else JSONResponse(revision)

    async def get_operation(self, request: Request) -> Response:
        operation = self.state.cloud_run.get_operation(_resource_name(request))
        if operation is None:
            return JSONResponse(error_body(404, "Requested entity was not found."), 404)
        return JSONResponse(operation)

    async def permissions(self, request: Request) -> Response:
        return JSONResponse(self.state.granted_permissions(await request.json()))

    async def update_service(self, request: Request) -> Response:
        params = request.query_params
        try:
            operation = self.state.cloud_run.patch(
                _resource_name(request),
                await request.json(),
                params.get("updateMask", params.get("update_mask", "")),
                params.get("validateOnly", params.get("validate_only", "")).lower() == "true",
                current_account(),
            )
        except KeyError:
            return _no_resource(request, "SERVICE", "service")
        except ValueError:
            return JSONResponse(error_body(400, "Invalid JSON payload received. Unexpected token."), 400)
        except RequestRefused as error:
            return _refusal(error)
        return JSONResponse(operation)

    async def get_knative_service(self, request: Request) -> Response:
        service = self.state.cloud_run.find(request.path_params["project"], request.path_params["service"])
        return _no_resource(request, "SERVICE", "service") if service is None else JSONResponse(run_v1.to_v1(service))

    async def replace_service(self, request: Request) -> Response:
        """What `gcloud run services replace` calls: the whole service as its file has it, and nothing that was there before."""
        run = self.state.cloud_run
        service = run.find(request.path_params["project"], request.path_params["service"])
        if service is None:
            return _no_resource(request, "SERVICE", "service")
        try:
            dry_run = request.query_params.get("dryRun") == "all"
            operation = run.patch(service["name"], run_v1.from_v1(await request.json()), "", dry_run, current_account())
        except RequestRefused as error:
            return _refusal(error)
        return JSONResponse(run_v1.to_v1(operation["metadata"]))

    async def forward_to_instance(self, request: Request) -> Response:
        """The load balancer of a service: a place on an instance, or 429 after waiting."""
        state = self.state
        tag, _, short_name = request.path_params["service"].rpartition("---")
        name = next((n for n in state.cloud_run.services if n.endswith(f"/services/{short_name}")), "")
        backend = state.cloud_run.backends.get(short_name)
        if not name or not backend:
            return JSONResponse(
                error_body(404, f"The requested URL /run/{short_name} was not found on this server."), 404
            )
        revision = await state.cloud_run.acquire_slot(name, state.instance_wait_timeout_s, tag)
        if not revision:
            return Response(ERRORS_BY_KEY["no_instance"].template, 429, media_type="text/plain")
        try:
            return await _forward(
                self.state.instances_http, request, f"{backend}/{request.path_params.get('path', '')}"
            )
        except httpx.HTTPError:
            return Response("Service Unavailable", 503, media_type="text/plain")
        finally:
            await state.cloud_run.release_slot(name, revision)


def _resource_name(request: Request) -> str:
    """The resource that a call's path names."""
    return request.url.path.removeprefix("/v2/")


def _page(request: Request, items: list[Resource], key: str) -> Response:
    try:
        params = request.query_params
        return JSONResponse(page(items, key, params.get("pageSize", ""), params.get("pageToken", "")))
    except RequestRefused as error:
        return _refusal(error)


def _refusal(error: RequestRefused) -> Response:
    body = error_body(error.status, error.message)
    if error.reason:
        body["error"]["status"] = error.reason
    return JSONResponse(body, error.status)


def _no_resource(request: Request, kind: str, parameter: str) -> Response:
    params = request.path_params
    name = params[parameter].partition(":")[0]
    region = f"in region '{params['location']}' " if "location" in params else ""
    where = f"{region}in project '{params['project']}'"
    return JSONResponse(error_body(404, f"Resource '{name}' of kind '{kind}' {where} does not exist."), 404)


async def _forward(client: httpx.AsyncClient, request: Request, url: str) -> Response:
    headers = {k: v for k, v in request.headers.items() if k.lower() in {"content-type", "authorization", "accept"}}
    response = await client.request(
        request.method, url, params=dict(request.query_params), content=await request.body(), headers=headers
    )
    return Response(
        response.content, response.status_code, {"content-type": response.headers.get("content-type", "text/plain")}
    )
