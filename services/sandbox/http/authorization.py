"""Authentication and authorization before every handler: whose request it is, the permission it needs, Google's refusals."""

from __future__ import annotations

import re
from dataclasses import dataclass

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from services.sandbox.common.error_responses import error_response
from services.sandbox.common.fault_injection import error_body
from services.sandbox.common.identities import NOBODY_HAS, PROJECT_RESOURCE, Caller
from services.sandbox.state import SandboxState

NO_CREDENTIALS = (
    "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid"
    " authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
# The permission of each method on a table, a dataset or the project, whichever its path names.
_BIGQUERY_PERMISSIONS = {
    "JobService.insertJob": "bigquery.jobs.create",
    "JobService.upload": "bigquery.jobs.create",
    "JobService.query": "bigquery.jobs.create",
    "TableService.insertTable": "bigquery.tables.create",
    "TableService.listTables": "bigquery.tables.list",
    "TableService.getTable": "bigquery.tables.get",
    "TableService.updateTable": "bigquery.tables.update",
    "TableService.deleteTable": "bigquery.tables.delete",
    "TableDataService.list": "bigquery.tables.getData",
    "TableDataService.insertAll": "bigquery.tables.updateData",
}
_DATASET_PERMISSIONS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "update", "DELETE": "delete"}
_DATASET_PATH = re.compile(r"/datasets/([^/:]+)")
_RUN_PATH = re.compile(
    r"/(?:locations|namespaces)/[^/]+/(?:(services)(?:/([^/:]+)(/revisions(?:/[^/:]+)?)?)?|operations/[^/:]+)"
)
# A job of another account: only its creator reads the results; bigquery.jobs.get suffices for its metadata.
_JOB_PERMISSIONS = {"JobService.getJob": "bigquery.jobs.get", "JobService.cancelJob": "bigquery.jobs.update"}

_NOT_AN_INVOKER = PlainTextResponse(
    "Error: Forbidden. Your client does not have permission to get that URL from this server.", 403
)
_OPEN_APIS = {
    "slack",
    "pager",
    "agent",
}  # Slack's webhook has its secret in its address, a pager has keys of its own; Cloud Run's logging agent is Google's own


@dataclass(frozen=True)
class Requirement:
    """The permission that a request needs, on which resource (as Identities names it), and the refusal without it."""

    permission: str
    resource: str
    refusal: Response


def authorize(state: SandboxState, api: str, method: str, request: Request) -> Caller | Response:
    """The caller of a method, or the refusal: 401 without a known account, 403 without a permission that the method needs."""
    if api in _OPEN_APIS:
        return Caller(state.identities.developer)
    account = (_authenticate_by_id_token if api == "balancer" else authenticate)(state, request)
    if isinstance(account, Response):
        return account
    requirements = find_requirements(state, api, method, request, account)
    for requirement in requirements:
        if not state.identities.allows(account, requirement.permission, requirement.resource):
            return requirement.refusal
    return Caller(account, requirements[0].resource if requirements else _named_resource(request))


def _named_resource(request: Request) -> str:
    """The dataset or service that a path names, for methods that everybody may call."""
    for kind in ("dataset", "service"):
        if (match := re.search(rf"/{kind}s/([^/:]+)", request.url.path)) is not None:
            return f"{kind}/{match[1]}"
    return PROJECT_RESOURCE


def authenticate(state: SandboxState, request: Request) -> str | Response:
    """The account of a request by its access token, which in the sandbox is the account's address; else Google's 401."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    identities = state.identities
    if not token:
        if not identities.require_credentials:
            return identities.developer
        return error_response(401, "required", NO_CREDENTIALS)
    if scheme.lower() == "bearer" and identities.knows(token):
        return token
    return error_response(401, "authError", f"The sandbox has no account {token[:100]}.")


def _authenticate_by_id_token(state: SandboxState, request: Request) -> str | Response:
    """The account of a call to a service, by an ID token made for that service's address; Cloud Run's own refusal else."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not token:
        return _NOT_AN_INVOKER if state.identities.require_credentials else state.identities.developer
    try:
        claims = jwt.decode(token, options={"verify_signature": False})  # the sandbox's own tokens have no signature
    except jwt.PyJWTError:
        claims = {}
    audience = f"{state.cloud_run.base_url}/run/{request.path_params['service']}"
    account = str(claims.get("email", ""))
    if scheme.lower() == "bearer" and claims.get("aud") == audience and state.identities.knows(account):
        return account
    return PlainTextResponse("The access token could not be verified", 401)


def find_requirements(state: SandboxState, api: str, method: str, request: Request, account: str) -> list[Requirement]:
    """What the method needs of the account; empty when everybody may call it."""
    if api == "bigquery":
        return _bigquery_requirements(state, method, request, account)
    if api == "run":
        return _run_requirements(state, request)
    if api == "logging":
        permission = "logging.logEntries.create" if request.url.path.endswith(":write") else "logging.logEntries.list"
        message = (
            f"Permission '{permission}' denied on resource (or it may not exist)."
            if permission.endswith("create")
            else "Permission denied for all log views"
        )
        return [_project_requirement(permission, message)]
    if api == "balancer":
        return [Requirement("run.routes.invoke", f"service/{request.path_params['service']}", _NOT_AN_INVOKER)]
    if api == "pubsub":
        return [_project_requirement(f"pubsub.{method}", "User not authorized to perform this action.")]
    if api == "monitoring":
        message = f"Permission monitoring.{method} denied (or the resource may not exist)."
        return [_project_requirement(f"monitoring.{method}", message)]
    if api == "scheduler":
        return [_scheduler_requirement(method, request.url.path)]
    return []


def _project_requirement(permission: str, message: str) -> Requirement:
    return Requirement(permission, PROJECT_RESOURCE, JSONResponse(error_body(403, message), 403))


def _scheduler_requirement(method: str, path: str) -> Requirement:
    permission = f"cloudscheduler.{method}".replace(".resume", ".enable")  # resuming a job enables it
    resource = path.removeprefix("/v1/").removesuffix("/jobs").partition(":")[0]
    message = (
        f'The principal (user or service account) lacks IAM permission "{permission}" for the resource'
        f' "{resource}" (or the resource may not exist).'
    )
    return _project_requirement(permission, message)


# --- BigQuery -------------------------------------------------------------------------------------------------------


def _bigquery_requirements(state: SandboxState, method: str, request: Request, account: str) -> list[Requirement]:
    project = request.path_params.get("project", state.project)
    if method == "JobService.listJobs":
        all_users = request.query_params.get("allUsers", "").lower() == "true"
        return [_bigquery_requirement("bigquery.jobs.listAll", project)] if all_users else []
    if method in (*_JOB_PERMISSIONS, "JobService.getQueryResults"):
        return _job_requirements(state, method, request.path_params["job"], account)
    if (permission := _BIGQUERY_PERMISSIONS.get(method)) is not None:
        table = request.path_params.get("table", "").partition("$")[0]
        return [_bigquery_requirement(permission, project, request.path_params.get("dataset", ""), table)]
    dataset = _DATASET_PATH.search(request.url.path)
    if method.startswith(("other", "DatasetService.")) and (dataset is not None or request.method != "GET"):
        verb = _DATASET_PERMISSIONS[request.method]
        return [_bigquery_requirement(f"bigquery.datasets.{verb}", project, dataset[1] if dataset else "")]
    return []  # testIamPermissions, and the list of datasets


def _bigquery_requirement(permission: str, project: str, dataset: str = "", table: str = "") -> Requirement:
    if not dataset:
        message = f"Access Denied: Project {project}: User does not have {permission} permission in project {project}."
    else:
        kind, name = ("Table", f"{project}:{dataset}.{table}") if table else ("Dataset", f"{project}:{dataset}")
        message = (
            f"Access Denied: {kind} {name}: Permission {permission} denied on {kind.lower()} {name}"
            " (or it may not exist)."
        )
    resource = f"dataset/{dataset}" if dataset else PROJECT_RESOURCE
    return Requirement(permission, resource, error_response(403, "accessDenied", message))


def _job_requirements(state: SandboxState, method: str, job_id: str, account: str) -> list[Requirement]:
    job = state.bigquery.jobs.get(job_id)
    if job is None or job.resource.get("user_email") == account:
        return []
    name = f"{state.project}:{job.resource['jobReference'].get('location', 'US')}.{job_id}"
    permission = _JOB_PERMISSIONS.get(method)
    message = (
        f"User does not have {permission} permission for job {name}."
        if permission
        else "User does not have permission to access results of another user's job."
    )
    refusal = error_response(403, "accessDenied", f"Access Denied: Job {name}: {message}")
    return [Requirement(permission or NOBODY_HAS, PROJECT_RESOURCE, refusal)]


# --- Cloud Run ------------------------------------------------------------------------------------------------------


def _run_requirements(state: SandboxState, request: Request) -> list[Requirement]:
    name, _, verb = request.url.path.removeprefix("/v2/").partition(":")
    match = _RUN_PATH.search(name)
    if match is None or verb == "testIamPermissions":
        return []
    services, service, revision = match.groups()
    resource = f"service/{service}" if service else PROJECT_RESOURCE
    if not services:
        permission = "run.operations.get"  # an operation belongs to the location: a role on a service does not reach it
    elif not service:
        permission = "run.services.list" if request.method == "GET" else "run.services.create"
    elif revision:
        permission = "run.revisions.get" if revision.count("/") > 1 else "run.revisions.list"
    else:
        permission = f"run.services.{verb or {'GET': 'get', 'DELETE': 'delete'}.get(request.method, 'update')}"
    requirements = [_run_requirement(permission, resource, name)]
    if permission == "run.services.update":
        requirements.append(_act_as_requirement(state, name))
    return requirements


def _run_requirement(permission: str, resource: str, name: str) -> Requirement:
    message = f"Permission '{permission}' denied on resource '{name}' (or resource may not exist)."
    return Requirement(permission, resource, JSONResponse(error_body(403, message), 403))


def _act_as_requirement(state: SandboxState, service_name: str) -> Requirement:
    """Who changes a service must be allowed to act as the account that it runs as."""
    runtime = state.runtime_account(service_name)
    message = f"Permission 'iam.serviceaccounts.actAs' denied on service account {runtime} (or it may not exist)."
    refusal = JSONResponse(error_body(403, message), 403)
    return Requirement("iam.serviceAccounts.actAs", f"account/{runtime}", refusal)
