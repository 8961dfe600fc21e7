"""The image holds what its parts need and nothing else, and each part starts from it as Cloud Run starts it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support import image
from tests.support.http_stub import serve_http
from tests.support.iap_signer import AUDIENCE, IapSigner
from tests.support.paths import ROOT
from tests.support.processes import free_port


@pytest.fixture(scope="module")
def built_image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("image") / "desk"
    folder.mkdir()
    return folder, image.build_image_dir(folder)


@pytest.fixture
def start_service(built_image: tuple[Path, Path]) -> Iterator[Any]:
    """Starts a part of the image and gives its address once it answers."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(health: str, *module: str, **env: str) -> str:
        port = free_port()
        folder, site = built_image
        processes.append(image.start_process(folder, site, *module, PORT=str(port), **env))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and processes[-1].poll() is None:
            try:
                if requests.get(f"http://127.0.0.1:{port}{health}", timeout=2).ok:
                    return f"http://127.0.0.1:{port}"
            except requests.RequestException:
                time.sleep(0.1)
        raise AssertionError(f"{module} did not start: {processes[-1].poll()}")

    yield start
    for process in processes:
        process.kill()
        process.wait(timeout=20)


def test_the_image_contains_no_sandbox_by_default(built_image):
    folder, site = built_image
    assert not (folder / "services" / "sandbox").exists()
    assert not (folder / "tests").exists()
    imported = subprocess.run(
        [sys.executable, "-c", "import bqemulator"], env={"PYTHONPATH": str(site)}, capture_output=True, text=True
    )
    assert "bqemulator is not in the image" in imported.stderr


def test_the_dashboard_of_the_image_serves_only_signed_in_users(start_service, sandbox):
    signer = IapSigner()
    with serve_http(lambda *_: (200, json.dumps(signer.public_jwks()).encode())) as keys:
        address = start_service("/_stcore/health", SANDBOX_URL=sandbox.url, IAP_AUDIENCE=AUDIENCE, IAP_KEYS_URL=keys)
        assert requests.get(address, timeout=10).status_code == 401
        signed = {"x-goog-iap-jwt-assertion": signer.sign()}
        response = requests.get(address, headers=signed, timeout=10)
        assert (response.status_code, "<title>Prediction On-Call" in response.text) == (200, True)
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
        assert requests.get(f"{address}/_stcore/metrics", headers=signed, timeout=10).status_code == 404


@pytest.mark.parametrize("module", ["services.pipeline.worker", "services.pipeline.coordinator"])
def test_worker_and_coordinator_start_from_the_same_image(start_service, sandbox, module):
    address = start_service("/health", module, SANDBOX_URL=sandbox.url)
    assert requests.get(address, timeout=10).json()["status"] == "healthy"


def test_the_watchdog_runs_one_check_from_the_same_image_and_exits(built_image, fresh_sandbox):
    folder, site = built_image
    watchdog = image.start_process(folder, site, "services.alerts.watchdog", SANDBOX_URL=fresh_sandbox.url)
    assert watchdog.wait(timeout=90) == 0


def test_the_dashboard_without_a_sign_in_exits_with_a_message(built_image):
    process = subprocess.run(
        [sys.executable, "-m", "app.server"],
        cwd=built_image[0],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(built_image[1])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (process.returncode, process.stderr) == (1, "")
    entry = json.loads(process.stdout)
    assert entry["severity"] == "CRITICAL"
    assert "No sign-in is configured" in entry["message"]
    assert "stack_trace" not in entry


def test_all_imports_of_the_pages_resolve_in_the_image(built_image):
    texts = [path.read_text(encoding="utf-8") for path in sorted((built_image[0] / "pages").glob("*.py"))]
    assert len(texts) > 5
    lines = [line for text in texts for line in text.splitlines() if line.startswith(("import ", "from "))]
    import_lines = "\n".join(line for line in dict.fromkeys(lines) if "(" not in line)
    imported = subprocess.run(
        [sys.executable, "-c", import_lines],
        cwd=built_image[0],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{built_image[1]}:{built_image[0]}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert imported.returncode == 0, imported.stderr


def test_the_image_is_built_where_an_engine_runs():
    """Elsewhere the tests above run its steps in an empty directory."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        pytest.skip("no container engine runs here")
    subprocess.run([docker, "build", "--tag", "prediction-on-call:test", str(ROOT)], check=True, timeout=900)
    command = [
        docker,
        "run",
        "--rm",
        "prediction-on-call:test",
        "python",
        "-c",
        "import app.server, os; print(os.getuid())",
    ]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.strip() == "10001"
