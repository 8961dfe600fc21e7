"""Streamlit's own scripts: compressed for who takes it, the same for everybody."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.http.static_gzip import Scripts

FOLDER = Path(streamlit.__file__).parent / "static"


@pytest.fixture
def client() -> TestClient:
    behind = Starlette(routes=[Route("/{rest:path}", lambda _: PlainTextResponse("from behind"))])
    behind.add_middleware(Scripts, folder=FOLDER)
    return TestClient(behind)


def script() -> Path:
    return max((FOLDER / "static" / "js").glob("PlotlyChart.*.js"))


def test_a_script_travels_compressed_and_unchanged_and_may_be_kept(client):
    answer = client.get(f"/static/js/{script().name}")
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.content == script().read_bytes()
    assert int(answer.headers["content-length"]) < script().stat().st_size / 3


def test_who_takes_no_gzip_is_answered_by_streamlit(client):
    assert client.get(f"/static/js/{script().name}", headers={"accept-encoding": "identity"}).text == "from behind"


@pytest.mark.parametrize(
    "path", ["/", "/index.html", "/static/js/none.js", "/static/../../pyproject.toml", "/coverage"]
)
def test_all_else_is_answered_by_streamlit(client, path):
    assert client.get(path).text == "from behind"


def test_what_is_kept_is_what_gzip_gives():
    from app.http.static_gzip import packed

    assert gzip.decompress(packed(script())) == script().read_bytes()
