"""`python -m tests.tools.benchmarks.baseline_apps.compressed SCRIPT PORT`: a script of this folder behind our compression alone."""

import sys
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from app.http.static_gzip import StaticGzipMiddleware, precompress_all

STATIC_DIR = Path(st.__file__).parent / "static"


def main() -> None:
    precompress_all(STATIC_DIR)
    app = st.App(
        Path(__file__).with_name(sys.argv[1]), middleware=[Middleware(StaticGzipMiddleware, folder=STATIC_DIR)]
    )
    app.run(config={"server.port": int(sys.argv[2]), "server.headless": True, "browser.gatherUsageStats": False})


if __name__ == "__main__":
    main()
