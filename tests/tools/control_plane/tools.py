"""The real gcloud and bq, set up to reach a control plane and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import googleapiclient

from tests.tools.control_plane.cloud import Cloud
from tests.tools.control_plane.server import DOCUMENTS, serve

_HERE = Path(__file__).parent
_SDK_APIS = {"serviceusage": ("SERVICEUSAGE", "SERVICEMANAGEMENT"), "bigquery": ()}


@dataclass(frozen=True)
class Tools:
    """A directory with gcloud and bq for one cloud, and the environment that they need."""

    cloud: Cloud
    env: dict[str, str]

    def run(self, command: list[str] | str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command, or a line as it would be typed, in the repository; its output is text."""
        arguments = ["bash", "-c", command] if isinstance(command, str) else command
        return subprocess.run(
            arguments,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
            stdin=subprocess.DEVNULL,
        )


def find_missing_tool() -> str | None:
    """The first of gcloud and bq that is not on this machine; None when both are."""
    return next((tool for tool in ("gcloud", "bq") if shutil.which(tool) is None), None)


def find_sdk() -> Path:
    """The folder of the Google Cloud SDK."""
    return Path(str(shutil.which("gcloud"))).resolve().parent.parent


@contextmanager
def open_tools(cloud: Cloud, forked: bool = True) -> Iterator[Tools]:
    """The tools for a cloud. `forked`: each tool is loaded once and then forked, which saves seconds a command."""
    folder = Path(mkdtemp(prefix="rehearsal-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        port = stack.enter_context(serve(cloud))
        (folder / "bin").mkdir()
        env = _environment(folder, cloud, port)
        if forked:
            for tool in ("gcloud", "bq"):
                stack.enter_context(_fork_server(tool, folder, env))
        yield Tools(cloud, env)


def _environment(folder: Path, cloud: Cloud, port: int) -> dict[str, str]:
    """No settings or credentials of whoever runs it, and no way to the real Google."""
    (folder / "token").write_text("token-of-the-rehearsal")
    document = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents" / "bigquery.v2.json"
    flags = {
        "api": f"http://127.0.0.1:{port}",
        "discovery_file": document,
        "oauth_access_token": "token-of-the-rehearsal",
    }
    (folder / ".bigqueryrc").write_text("".join(f"{name} = {value}\n" for name, value in flags.items()))
    endpoints = {
        f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name}": f"http://{api}.test/"
        for api in DOCUMENTS
        for name in _SDK_APIS.get(api, (api.upper(),))
    }
    return {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "CLOUDSDK_CONFIG": str(folder),
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(folder / "token"),
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        "CLOUDSDK_CORE_CHECK_GCE_METADATA": "0",
        "CLOUDSDK_PROXY_TYPE": "http_no_tunnel",
        "CLOUDSDK_PROXY_ADDRESS": "127.0.0.1",
        "CLOUDSDK_PROXY_PORT": str(port),
        **endpoints,
    }


@contextmanager
def _fork_server(tool: str, folder: Path, env: dict[str, str]) -> Iterator[None]:
    """`tool` in the folder's bin, answered by a process that has it loaded."""
    python = next((find_sdk() / "platform" / "bundledpythonunix" / "bin").glob("python3"), Path(sys.executable))
    address = folder / f"{tool}.socket"
    server = subprocess.Popen(
        [str(python), str(_HERE / "fork_server.py"), tool, str(find_sdk()), str(address)],
        env=env,
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n", f"{tool} did not load"
        client = folder / "bin" / tool
        client.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {_HERE / "fork_client.py"} {address} {tool} "$@"\n')
        client.chmod(0o755)
        yield
    finally:
        server.kill()
        server.wait()
