"""Starts the dashboard as production does: Streamlit's server behind AccessMiddleware.

Run as `python -m app.server`; PORT (or DASHBOARD_PORT) and HOST say where.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from importlib import import_module
from pathlib import Path
from threading import Thread

import streamlit as st
from starlette.middleware import Middleware
from streamlit import logger as streamlit_logging

from app.http.access_middleware import AccessMiddleware
from app.http.event_loops import ScriptLoopPolicy
from app.http.index_page import IndexPageMiddleware
from app.http.static_gzip import StaticGzipMiddleware, precompress_all
from services.auth import sign_in
from services.core.clock import eastern_day, to_game_date
from services.core.errors import OnCallError, SettingsError
from services.core.http_server import serve
from services.core.settings import LOOPBACK_HOSTS, DashboardServerSettings, Settings
from services.gcp import logging_setup

STATIC_DIR = Path(st.__file__).parent / "static"


def build_application(settings: Settings) -> st.App:
    """The dashboard as an ASGI application; raises SettingsError when no sign-in is configured."""
    oidc = bool(st.secrets.load_if_toml_exists()) and "auth" in st.secrets
    sign_in.check_configured(settings, oidc)
    if st.get_option("server.trustedUserHeaders"):
        raise SettingsError(
            "Streamlit's server.trustedUserHeaders is set: whoever sends such a header would be whom it names.",
            "Unset it: a signed header (IAP_AUDIENCE) or a sign-in ([auth]) says who somebody is.",
        )
    keys = sign_in.jwks_cache(settings.iap_keys_url)
    middleware = [
        Middleware(AccessMiddleware, settings=settings, keys=keys, oidc=oidc),
        Middleware(StaticGzipMiddleware, folder=STATIC_DIR),
        Middleware(IndexPageMiddleware, folder=STATIC_DIR),
    ]
    return st.App(Path(__file__).with_name("main.py"), middleware=middleware)


def warm_up() -> None:
    """What the first visitor would otherwise wait for: compress scripts, import modules, read tonight's data."""
    Thread(
        target=precompress_all, args=(STATIC_DIR,), daemon=True, name="compress"
    ).start()  # beside waiting for Google
    from app.state import reads, session

    try:
        clients = session.cached_clients()
        night = to_game_date(clients.now())
        reads.read_overview(clients, night)
        reads.first_night(clients)
        reads.names(clients, night, night)
        reads.recent_history(clients, eastern_day(clients.now()))
    except OnCallError as error:  # the page will show it
        logging.getLogger(__name__).warning("Nothing was read ahead: %s", error.message)
    import_module("pandas")  # of the tables
    # Streamlit collects garbage after every rerun, which blocks all sessions: frozen objects are not scanned.
    gc.collect()
    gc.freeze()


def _with_hosts(settings: Settings, server: DashboardServerSettings) -> Settings:
    """On this machine alone, the machine's own names only: a page of another name was led here by its DNS server."""
    if settings.dashboard_hosts or not server.is_local:
        return settings
    return settings.model_copy(update={"dashboard_hosts": LOOPBACK_HOSTS})


def log_streamlit_as_ours() -> None:
    """Streamlit's records through the root logger: it gives each of its loggers a handler of its own, which writes lines of text."""

    def propagate(logger: logging.Logger) -> None:
        logger.handlers.clear()
        logger.propagate = True

    streamlit_logging.setup_formatter = propagate
    streamlit_logging.update_formatter()


def main() -> None:
    logging_setup.configure_logging()
    log_streamlit_as_ours()
    try:
        server = DashboardServerSettings.from_env()
        app = build_application(_with_hosts(Settings.from_env(), server))
    except SettingsError as error:
        logging.getLogger(__name__).critical("%s", error)
        raise SystemExit(1) from None
    Thread(target=warm_up, daemon=True, name="get ready").start()
    asyncio.set_event_loop_policy(ScriptLoopPolicy())
    serve(app, server.host, server.port)


if __name__ == "__main__":
    main()
