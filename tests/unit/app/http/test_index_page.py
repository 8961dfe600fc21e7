"""Streamlit's index page with our title, background and stylesheet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.http.index_page import STYLESHEET, IndexPageMiddleware

STATIC_DIR = Path(streamlit.__file__).parent / "static"
STREAMLIT_INDEX = (STATIC_DIR / "index.html").read_text(encoding="utf-8")


@pytest.fixture
def client() -> TestClient:
    routes = [
        Route("/plain", lambda _: PlainTextResponse("from behind")),
        Route("/{rest:path}", lambda _: FileResponse(STATIC_DIR / "index.html", headers={"cache-control": "no-cache"})),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(GZipMiddleware, minimum_size=100)  # as Streamlit's own server does
    app.add_middleware(IndexPageMiddleware, folder=STATIC_DIR)
    return TestClient(app)


def test_the_page_has_our_title_and_style_and_is_otherwise_streamlits(client):
    response = client.get("/coverage")
    assert "<title>Prediction On-Call</title>" in response.text
    assert STYLESHEET.read_text(encoding="utf-8") in response.text
    light, dark = (streamlit.get_option(f"theme.{kind}.backgroundColor") for kind in ("light", "dark"))
    background_css = (
        f"html {{ background: {light} }} @media (prefers-color-scheme: dark) {{ html {{ background: {dark} }} }}"
    )
    assert light != dark
    assert background_css in response.text
    page_html = re.sub("(<head>)<script>.*?</script>", r"\1", response.text, flags=re.DOTALL)
    assert '<meta name="description" content="' in page_html
    page_html = re.sub("<title>Prediction On-Call</title><meta [^>]*>", "<title>Streamlit</title>", page_html)
    assert (
        page_html[: page_html.index("<style>")] + page_html[page_html.index("</style>") + len("</style>") :]
        == STREAMLIT_INDEX
    )


def test_the_page_is_not_cached_by_the_browser(client):
    response = client.get("/")
    assert not {"etag", "last-modified", "content-encoding"} & set(response.headers)
    assert response.headers["cache-control"] == "no-cache"
    assert int(response.headers["content-length"]) == len(response.content)


def test_a_head_request_gets_no_body(client):
    assert client.head("/").content == b""


def test_other_paths_pass_through(client):
    assert client.get("/plain").text == "from behind"
