"""An HTTP server that answers gcloud and bq: each request is checked by Google's discovery documents, then changes the cloud.

gcloud reaches it as its proxy: the host names the API (`run.test`, `us-west2-run.test`). bq calls it directly.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.support.discovery import Method, find_method
from tests.tools.control_plane import iam, monitoring, run, warehouse
from tests.tools.control_plane.cloud import Call, Cloud, Refused

DOCUMENTS = {
    "bigquery": ("bigquery.v2",),
    "cloudresourcemanager": ("cloudresourcemanager.v1",),
    "cloudscheduler": ("cloudscheduler.v1",),
    "iam": ("iam.v1",),
    "iap": ("iap.v1",),
    "logging": ("logging.v2",),
    "monitoring": ("monitoring.v3",),
    "pubsub": ("pubsub.v1",),
    "run": ("run.v1",),
    "secretmanager": ("secretmanager.v1",),
    "serviceusage": ("serviceusage.v1", "serviceusage.v1beta1"),
}
ALWAYS_ON = {"cloudresourcemanager", "iam", "serviceusage"}  # gcloud calls these through a project of its own
HANDLERS: dict[str, Any] = {**iam.HANDLERS, **run.HANDLERS, **monitoring.HANDLERS, **warehouse.HANDLERS}

# What gcloud and bq send though no document has it, and the real services accept.
_KNOWN_DEVIATIONS = ("jobTimeoutMs: null",)


def answer(cloud: Cloud, verb: str, host: str, target: str, body: bytes) -> tuple[int, Any]:
    """The status and the JSON of one request's answer."""
    parts = urlsplit(target)
    api, path = host.partition(".")[0].removeprefix(f"{cloud.region}-"), unquote(parts.path)
    method = find_method(verb, path, DOCUMENTS.get(api, ()))
    if method is None:
        cloud.problems.append(f"{verb} {host}{path}: there is no such method")
        return _error(Refused(404, "NOT_FOUND", f"There is no method {verb} {path} of {api}."))
    query = parse_qsl(parts.query, keep_blank_values=True)
    parsed = json.loads(body) if body else {}
    cloud.calls[method.id] += 1
    cloud.problems += _find_problems(method, query, parsed)
    try:
        return 200, _carry_out(cloud, Call(api, method.id, path, dict(query), parsed))
    except Refused as refused:
        return _error(refused)


def _find_problems(method: Method, query: list[tuple[str, str]], body: Any) -> list[str]:
    problems = list(method.parameter_problems(query))
    if body:
        problems += method.body_problems("request", body, False)
    return [f"{method.id} request {problem}" for problem in problems if problem not in _KNOWN_DEVIATIONS]


def _carry_out(cloud: Cloud, call: Call) -> Any:
    if (fault := cloud.find_fault(call.method)) is not None:
        raise fault
    if call.api not in ALWAYS_ON and f"{call.api}.googleapis.com" not in cloud.enabled:
        raise _api_is_off(cloud, call.api)
    if call.method not in HANDLERS:
        cloud.problems.append(f"{call.method}: the control plane does not know it")
        raise Refused(501, "UNIMPLEMENTED", f"The control plane does not know {call.method}.")
    return HANDLERS[call.method](cloud, call)


def _api_is_off(cloud: Cloud, api: str) -> Refused:
    service = f"{api}.googleapis.com"
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "SERVICE_DISABLED",
        "domain": "googleapis.com",
        "metadata": {"service": service, "consumer": f"projects/{cloud.number}"},
    }
    return Refused(
        403,
        "PERMISSION_DENIED",
        f"{service} has not been used in project {cloud.number} before or it is disabled. Enable it by visiting"
        f" https://console.developers.google.com/apis/api/{service}/overview?project={cloud.number} then retry. If you enabled this API"
        " recently, wait a few minutes for the action to propagate to our systems and retry.",
        [detail],
    )


def _error(refused: Refused) -> tuple[int, Any]:
    error = {"code": refused.code, "message": refused.message, "status": refused.status, "details": refused.details}
    reason = {"ALREADY_EXISTS": "duplicate", "NOT_FOUND": "notFound"}.get(refused.status, "invalid")
    return refused.code, {
        "error": {**error, "errors": [{"message": refused.message, "domain": "global", "reason": reason}]}
    }


@contextmanager
def serve(cloud: Cloud) -> Iterator[int]:
    """The port on which the cloud is served."""
    lock = Lock()

    class _Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            parts = urlsplit(self.path)
            host = parts.netloc or "bigquery"
            with lock:
                status, answered = answer(cloud, self.command, host, f"{parts.path}?{parts.query}", body)
            content = json.dumps(answered).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 — http.server's names

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
