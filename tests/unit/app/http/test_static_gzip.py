"""Streamlit's own scripts: compressed for clients that accept gzip, unchanged for all."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.http.static_gzip import StaticGzipMiddleware

STATIC_DIR = Path(streamlit.__file__).parent / "static"


@pytest.fixture
def client() -> TestClient:
    app = Starlette(routes=[Route("/{rest:path}", lambda _: PlainTextResponse("from behind"))])
    app.add_middleware(StaticGzipMiddleware, folder=STATIC_DIR)
    return TestClient(app)


def largest_script() -> Path:
    return max((STATIC_DIR / "static" / "js").glob("PlotlyChart.*.js"))


def test_a_script_is_compressed_unchanged_and_cacheable(client):
    response = client.get(f"/static/js/{largest_script().name}")
    assert response.headers["content-encoding"] == "gzip"
    assert "immutable" in response.headers["cache-control"]
    assert response.headers["vary"] == "Accept-Encoding"
    assert response.headers["content-type"].startswith("text/javascript")
    assert response.content == largest_script().read_bytes()
    assert int(response.headers["content-length"]) < largest_script().stat().st_size / 3


def test_a_client_without_gzip_is_served_by_streamlit(client):
    assert (
        client.get(f"/static/js/{largest_script().name}", headers={"accept-encoding": "identity"}).text == "from behind"
    )


@pytest.mark.parametrize(
    "path", ["/", "/index.html", "/static/js/none.js", "/static/../../pyproject.toml", "/coverage"]
)
def test_other_paths_are_served_by_streamlit(client, path):
    assert client.get(path).text == "from behind"


def test_the_compressed_bytes_are_gzip():
    from app.http.static_gzip import compressed

    assert gzip.decompress(compressed(largest_script())) == largest_script().read_bytes()
