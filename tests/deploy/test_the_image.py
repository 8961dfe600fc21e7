"""The image holds what its parts need and nothing else, and each part starts from it as Cloud Run starts it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from services.core import healthcheck
from tests.deploy import image
from tests.security.proxy import AUDIENCE, IapSigner
from tests.security.serving import serve_http

ROOT = Path(__file__).parents[2]


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
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        processes.append(image.start_process(*built_image, *module, PORT=str(port), **env))
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


def test_the_dockerfile_passes_hadolint():
    hadolint = Path(sys.executable).parent / "hadolint"
    lint = subprocess.run([str(hadolint), str(ROOT / "Dockerfile")], capture_output=True, text=True, timeout=60)
    assert (lint.returncode, lint.stdout) == (0, "")


def test_the_image_runs_as_an_unprivileged_user_from_pinned_packages():
    instructions = image.parse_dockerfile()
    assert ("USER", ["10001"]) in instructions
    assert any("--require-hashes" in arguments for instruction, arguments in instructions if instruction == "RUN")
    assert not [arguments for instruction, arguments in instructions if instruction == "ADD"]
    (base,) = [arguments for instruction, arguments in instructions if instruction == "FROM"]
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", base[0]), "a release, not whatever is newest"


def test_no_secret_and_no_test_is_in_the_build_context():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "*", "everything is left out unless it is named"
    assert not [line for line in lines if line.startswith("!") and ("tests" in line or ".env" in line or "git" in line)]
    assert "**/secrets.toml" in lines


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


def test_the_watchdog_runs_one_check_from_the_same_image_and_exits(built_image, sandbox):
    folder, site = built_image
    watchdog = image.start_process(folder, site, "services.alerts.watchdog", SANDBOX_URL=sandbox.url)
    assert watchdog.wait(timeout=90) == 0


def test_only_a_build_argument_adds_the_sandbox_and_its_packages():
    (install,) = [
        " ".join(arguments)
        for instruction, arguments in image.parse_dockerfile()
        if instruction == "RUN" and "pip" in arguments
    ]
    assert ("ARG", ["SANDBOX=no"]) in image.parse_dockerfile()
    assert 'if [ "$SANDBOX" = yes ]; then list=requirements-dev.txt; else list=requirements.txt; fi' in install
    assert any(
        '"$SANDBOX" != yes' in " ".join(w) and "services/sandbox" in w[-2]
        for k, w in image.parse_dockerfile()
        if k == "RUN"
    )


def test_the_dashboard_without_a_sign_in_exits_with_a_message(built_image):
    process = subprocess.run(
        [sys.executable, "-m", "app.server"],
        cwd=built_image[0],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(built_image[1])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 1
    assert "No sign-in is configured" in process.stderr
    assert "Traceback" not in process.stderr


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


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("python -m app.server", "/_stcore/health"),
        ("python -m services.pipeline.worker", "/health"),
        ("python -m services.pipeline.coordinator", "/health"),
        ("python -m services.alerts.watchdog", ""),
    ],
)
def test_the_health_check_uses_the_path_of_the_running_service(command, path):
    assert healthcheck.health_path(command) == path


def test_the_health_check_distinguishes_failing_from_healthy_services():
    with serve_http(lambda path, *_: (200 if path == "/health" else 500, b"{}")) as address:
        port = {"PORT": address.rpartition(":")[2]}
        assert healthcheck.check("python -m services.pipeline.coordinator", port) == ""
        assert "answers 500" in healthcheck.check("python -m app.server", port)
    assert "does not answer" in healthcheck.check("python -m app.server", port)
    assert healthcheck.check("python -m services.alerts.watchdog", port) == ""


def test_the_image_contains_runtime_packages_and_no_development_packages():
    assert {"bqemulator", "duckdb", "playwright", "pytest", "yaml"} <= image.packages_not_in_image()
    assert not {"streamlit", "google", "jwt", "requests", "plotly"} & image.packages_not_in_image()
