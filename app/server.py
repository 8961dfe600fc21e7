"""Starts the dashboard as production does: Streamlit's server behind our gate.

Run as `python -m app.server`; PORT (or DASHBOARD_PORT) and HOST say where.
"""

from __future__ import annotations

import gc
import logging
import os
from importlib import import_module
from pathlib import Path
from threading import Thread

import streamlit as st
from starlette.middleware import Middleware

from app.http.access_middleware import Gate
from app.http.index_page import Document
from app.http.static_gzip import Scripts, pack_all
from services.auth import sign_in as identity
from services.core.clock import eastern_day, night_of
from services.core.errors import OnCallError, SettingsError
from services.core.settings import Settings

STATIC = Path(st.__file__).parent / "static"


def application(settings: Settings) -> st.App:
    """The dashboard as an ASGI application; raises SettingsError when nobody could be proven to be looking."""
    identity.check_configured(settings, bool(st.secrets.load_if_toml_exists()) and "auth" in st.secrets)
    keys = identity.key_ring(settings.iap_keys_url)
    around = [
        Middleware(Gate, settings=settings, keys=keys),
        Middleware(Scripts, folder=STATIC),
        Middleware(Document, folder=STATIC),
    ]
    return st.App(Path(__file__).with_name("main.py"), middleware=around)


def get_ready() -> None:
    """What the first visitor would otherwise wait for: scripts packed, modules imported, tonight's answers read."""
    pack_all(STATIC)
    import_module("app.charts.plotly_charts")  # Plotly and pandas come with it
    from app.state import reads, session

    try:
        cloud = session.cloud()
        night = night_of(cloud.now())
        reads.tonight(cloud, night)
        reads.names(cloud, night, night)
        reads.recent(cloud, eastern_day(cloud.now()))
    except OnCallError as error:  # the page will say it to whoever looks
        logging.getLogger(__name__).warning("Nothing was read ahead: %s", error.sentence)
    # Streamlit collects garbage after every run of a page and holds up everybody meanwhile: what stays is not looked through.
    gc.collect()
    gc.freeze()


def main() -> None:
    port = os.environ.get("DASHBOARD_PORT") or os.environ.get("PORT") or "8501"
    try:
        app = application(Settings.from_env())
    except SettingsError as error:
        raise SystemExit(str(error)) from None
    Thread(target=get_ready, daemon=True, name="get ready").start()
    app.run(config={"server.port": int(port), "server.address": os.environ.get("HOST", "127.0.0.1")})


if __name__ == "__main__":
    main()
