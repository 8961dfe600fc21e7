"""Without the proxy: a person signs in at their organisation's own provider, and is what the settings say they are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.support import image
from tests.support.coordinators import serve_app
from tests.support.iap_signer import NORA
from tests.support.processes import free_port, wait_for_server

pytestmark = pytest.mark.browser
CLIENT_ID = "on-call-desk"


class OidcProvider:
    """An OpenID provider with one person, who is always signed in there; `verified` is what it says of the address, None nothing."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.verified: bool | None = True
        self.nonce, self.address = "", ""

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.discovery),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
                Route("/keys", self.keys),
            ]
        )

    async def discovery(self, _: Request) -> Response:
        endpoints = {name: f"{self.address}/{path}" for name, path in self.ENDPOINT_PATHS.items()}
        return JSONResponse({"issuer": self.address, "response_types_supported": ["code"], **endpoints})

    ENDPOINT_PATHS = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}  # noqa: RUF012

    async def authorize(self, request: Request) -> Response:
        params = request.query_params
        self.nonce = params.get("nonce", "")
        return RedirectResponse(f"{params['redirect_uri']}?code=once&state={params['state']}")

    async def token(self, _: Request) -> Response:
        now = int(time.time())
        claims = {"iss": self.address, "aud": CLIENT_ID, "sub": "1", "iat": now, "exp": now + 600, "nonce": self.nonce}
        identity_claims = {"email": NORA} | ({} if self.verified is None else {"email_verified": self.verified})
        signed = jwt.encode({**claims, **identity_claims}, self.key, "RS256", {"kid": "one"})
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "expires_in": 600, "id_token": signed})

    async def keys(self, _: Request) -> Response:
        public = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return JSONResponse({"keys": [{**public, "kid": "one", "alg": "RS256", "use": "sig"}]})


@pytest.fixture(scope="module")
def oidc_dashboard(shared_sandbox: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, OidcProvider]]:
    """The image's dashboard with a sign-in in its secrets, as Secret Manager mounts them, and the provider."""
    folder = tmp_path_factory.mktemp("oidc") / "desk"
    folder.mkdir()
    site, provider, port = image.build_image_dir(folder), OidcProvider(), free_port()
    with ExitStack() as stack:
        provider.address = stack.enter_context(serve_app(provider.application()))
        dashboard_url = f"http://127.0.0.1:{port}"
        secrets = folder.parent / ".streamlit" / "secrets.toml"
        secrets.parent.mkdir()
        secrets.write_text(
            f'[auth]\nredirect_uri = "{dashboard_url}/oauth2callback"\ncookie_secret = "for this test only, 32 characters"\n'
            f'client_id = "{CLIENT_ID}"\nclient_secret = "for this test"\n'
            f'server_metadata_url = "{provider.address}/.well-known/openid-configuration"\n'
        )
        process = image.start_process(
            folder, site, SANDBOX_URL=shared_sandbox.url, OIDC_ISSUER=provider.address, OPERATORS=NORA, PORT=str(port)
        )
        stack.callback(process.wait, timeout=20)
        stack.callback(process.kill)  # before the wait: callbacks run last in, first out
        wait_for_server(f"{dashboard_url}/_stcore/health", process)
        yield dashboard_url, provider


def test_no_data_is_shown_before_sign_in_whatever_headers_and_cookies_are_sent(oidc_dashboard, browser):
    dashboard_url, _ = oidc_dashboard
    context = browser.new_context(extra_http_headers={"X-Goog-Authenticated-User-Email": f"accounts.google.com:{NORA}"})
    forged_cookie = {
        "name": "_streamlit_user",
        "value": '{"email":"nora@example.com","is_logged_in":true}',
        "url": dashboard_url,
    }
    context.add_cookies([forged_cookie])
    page = context.new_page()
    page.goto(f"{dashboard_url}/?date=2025-12-29")
    page.get_by_role("button", name="Sign in").wait_for(timeout=60_000)
    assert page.get_by_text("158").count() == 0
    context.close()


def sign_in(context, dashboard_url):
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{dashboard_url}/?date=2025-12-29")
    page.get_by_role("button", name="Sign in").click()
    return page


def test_a_user_with_a_verified_address_is_an_operator_by_name(oidc_dashboard, browser):
    dashboard_url, provider = oidc_dashboard
    provider.verified = True
    with browser.new_context() as context:
        sign_in(context, dashboard_url).get_by_text(f"{NORA} · operator").wait_for()


def test_a_user_whose_address_nobody_says_is_verified_sees_no_data(oidc_dashboard, browser):
    dashboard_url, provider = oidc_dashboard
    provider.verified = None
    with browser.new_context() as context:
        page = sign_in(context, dashboard_url)
        page.get_by_text("names no verified e-mail address").wait_for()
        assert page.get_by_text("158").count() == 0
