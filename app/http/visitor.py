"""Who opens a websocket under Streamlit's own sign-in (OIDC): the person its cookie proves, else the address they come from."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME
from streamlit.web.server.starlette.starlette_websocket import (
    _get_signed_cookie_with_chunks,
    _parse_decoded_user_cookie,
)

from services.auth import sign_in
from services.auth.sign_in import Unauthenticated
from services.core.settings import Settings

SIGNED_OUT = "not signed in"


def oidc_visitor(scope: Scope, settings: Settings, now: datetime) -> str:
    """The verified e-mail address of a websocket's cookie; "not signed in at ADDRESS" where it proves none.

    It is Streamlit's own reading of its cookie that counts, so that the page has the same person.
    """
    headers = Headers(scope=scope)
    cookie = _get_signed_cookie_with_chunks(cookie_parser(headers.get("cookie", "")), USER_COOKIE_NAME)
    claims = _parse_decoded_user_cookie(cookie, headers.get("origin", "")) if cookie else {}
    try:
        return sign_in.identity_from_oidc(claims, settings, now).email
    except Unauthenticated:
        return f"{SIGNED_OUT} at {_address(scope, headers)}"


def _address(scope: Scope, headers: Headers) -> str:
    """What the proxy before us says of the client, which is the last part; what the client says of itself is before it."""
    forwarded = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    try:
        return str(ip_address(forwarded))
    except ValueError:
        return str((scope.get("client") or ("nowhere",))[0])
