"""Google's command-line and Node clients on this machine, pointed at a sandbox; a test that needs a missing one is skipped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import mkdtemp
from threading import Thread
from urllib.parse import urlsplit

import googleapiclient
import pytest
import requests

from services.sandbox.common.identities import account_address
from services.sandbox.server import Sandbox

# The last majors that run on Node 20.
NODE_PACKAGES = ("@google-cloud/bigquery@8.3.1", "@google-cloud/run@3.3.0", "@google-cloud/logging@11.4.0")
CACHE = Path.home() / ".cache" / "prediction-on-call"
_INSTALL_TIMEOUT_S, _CALL_TIMEOUT_S = 120, 60


def run_node(script: Path, part: str, sandbox: Sandbox) -> dict[str, object]:
    """The JSON object that a script prints when it is called with a part, the sandbox's address and the developer's account."""
    account = account_address("developer", sandbox.state.project)
    env = {"NODE_PATH": str(_install_node_packages() / "node_modules"), "METADATA_SERVER_DETECTION": "none"}
    printed: dict[str, object] = json.loads(_run(["node", str(script), part, sandbox.url, account], env))
    return printed


def _install_node_packages() -> Path:
    """The folder that has NODE_PACKAGES; skips the test where they cannot be installed."""
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not on this machine")
    folder = CACHE / "node" / "-".join(package.rpartition("/")[2] for package in NODE_PACKAGES)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(mkdtemp(dir=folder.parent))
    (building / "package.json").write_text('{"private": true}')
    install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", *NODE_PACKAGES]
    try:
        subprocess.run(install, cwd=building, check=True, capture_output=True, timeout=_INSTALL_TIMEOUT_S)
    except subprocess.SubprocessError as error:
        shutil.rmtree(building)
        pytest.skip(f"npm could not install Google's clients: {error}")
    building.rename(folder)
    return folder


def run_bq(sandbox: Sandbox, *arguments: str) -> str:
    """What `bq` prints; it knows the API from the discovery document that google-api-python-client has."""
    document = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents" / "bigquery.v2.json"
    flags = ["--api", sandbox.url, "--discovery_file", str(document), "--project_id", sandbox.state.project]
    return _run_google_tool(sandbox, "bq", [*flags, *arguments], {})


def run_gcloud(sandbox: Sandbox, *arguments: str) -> str:
    """What `gcloud` prints."""
    with _proxy_to(sandbox.url) as port:
        endpoints = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}": "http://googleapis/" for api in ("RUN", "LOGGING")}
        proxy = {"TYPE": "http_no_tunnel", "ADDRESS": "127.0.0.1", "PORT": str(port)}
        env = {**endpoints, **{f"CLOUDSDK_PROXY_{name}": value for name, value in proxy.items()}}
        return _run_google_tool(sandbox, "gcloud", list(arguments), env)


def _run_google_tool(sandbox: Sandbox, tool: str, arguments: list[str], env: dict[str, str]) -> str:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not on this machine")
    folder = Path(mkdtemp(prefix="gcloud-"))
    (folder / "token").write_text(account_address("developer", sandbox.state.project))
    own = {
        "HOME": str(folder),  # no settings or credentials of whoever runs the tests
        "CLOUDSDK_CONFIG": str(folder),
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(folder / "token"),
        "CLOUDSDK_CORE_PROJECT": sandbox.state.project,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
    }
    try:
        return _run([tool, *arguments], {**own, **env})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[str], env: dict[str, str]) -> str:
    """Standard output of a command; a failure is an assertion with what it said."""
    done = subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, timeout=_CALL_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


@contextmanager
def _proxy_to(url: str) -> Iterator[int]:
    """The port of an HTTP proxy that sends every call to `url`, because gcloud puts the region before Cloud Run's host."""

    class _Proxy(BaseHTTPRequestHandler):
        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {k: v for k, v in self.headers.items() if k.lower() in ("authorization", "content-type")}
            parts = urlsplit(self.path)
            answer = requests.request(
                self.command, f"{url}{parts.path}?{parts.query}", headers=headers, data=body, timeout=_CALL_TIMEOUT_S
            )
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("content-type", ""))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_PATCH = _forward  # noqa: N815 — http.server's names

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
