"""Streamlit's own page, with our name, ground and look in it from the first moment."""

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

from app.http.index_page import LOOK, Document

FOLDER = Path(streamlit.__file__).parent / "static"
THEIRS = (FOLDER / "index.html").read_text(encoding="utf-8")


@pytest.fixture
def client() -> TestClient:
    routes = [
        Route("/plain", lambda _: PlainTextResponse("from behind")),
        Route("/{rest:path}", lambda _: FileResponse(FOLDER / "index.html", headers={"cache-control": "no-cache"})),
    ]
    behind = Starlette(routes=routes)
    behind.add_middleware(GZipMiddleware, minimum_size=100)  # as Streamlit's own server does
    behind.add_middleware(Document, folder=FOLDER)
    return TestClient(behind)


def test_the_page_has_our_name_and_look_and_is_theirs_otherwise(client):
    answer = client.get("/coverage")
    assert "<title>Prediction On-Call</title>" in answer.text
    assert LOOK.read_text(encoding="utf-8") in answer.text
    light, dark = (streamlit.get_option(f"theme.{kind}.backgroundColor") for kind in ("light", "dark"))
    ground = f"html {{ background: {light} }} @media (prefers-color-scheme: dark) {{ html {{ background: {dark} }} }}"
    assert light != dark
    assert ground in answer.text
    rest = re.sub("(<head>)<script>.*?</script>", r"\1", answer.text)
    rest = rest.replace("<title>Prediction On-Call</title>", "<title>Streamlit</title>")
    assert rest[: rest.index("<style>")] + rest[rest.index("</style>") + len("</style>") :] == THEIRS


def test_no_browser_takes_an_old_look_for_the_present_one(client):
    answer = client.get("/")
    assert not {"etag", "last-modified", "content-encoding"} & set(answer.headers)
    assert answer.headers["cache-control"] == "no-cache"
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_who_asks_only_for_the_head_gets_no_page(client):
    assert client.head("/").content == b""


def test_all_else_passes(client):
    assert client.get("/plain").text == "from behind"
