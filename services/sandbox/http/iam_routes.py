"""IAM's calls: an access token of an account that the caller may impersonate, and the policy of a Cloud Run service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.sandbox.common.fault_injection import error_body
from services.sandbox.common.identities import CALLER
from services.sandbox.http.bigquery_routes import HandlerWrapper
from services.sandbox.state import SandboxState

TOKEN_LIFETIME = timedelta(hours=1)


def routes(state: SandboxState, wrap_handler: HandlerWrapper) -> list[Route]:
    """generateAccessToken of IAM Service Account Credentials, and Cloud Run's getIamPolicy."""
    api = _IamHandlers(state)
    token_path = "/v1/projects/-/serviceAccounts/{account}:generateAccessToken"  # noqa: S105 — a path
    return [
        Route(token_path, wrap_handler("iam", "generateAccessToken", api.generate_access_token), methods=["POST"]),
        Route("/v2/{name:path}:getIamPolicy", wrap_handler("run", "getIamPolicy", api.get_policy), methods=["GET"]),
    ]


class _IamHandlers:
    def __init__(self, state: SandboxState) -> None:
        self._identities = state.identities

    async def generate_access_token(self, request: Request) -> Response:
        """A token of the account, which is its address, for who may impersonate it; it expires by real time."""
        account, permission = request.path_params["account"], "iam.serviceAccounts.getAccessToken"
        if not self._identities.allows(CALLER.get().account, permission, f"account/{account}"):
            message = f"Permission '{permission}' denied on resource (or it may not exist)."
            return JSONResponse(error_body(403, message), 403)
        expires_at = datetime.now(UTC) + TOKEN_LIFETIME
        return JSONResponse({"accessToken": account, "expireTime": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")})

    async def get_policy(self, _: Request) -> Response:
        return JSONResponse(self._identities.policy(CALLER.get().resource))
