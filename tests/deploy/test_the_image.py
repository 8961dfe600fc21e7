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

from services.core import healthcheck as alive
from tests.deploy import image
from tests.security.proxy import AUDIENCE, Proxy
from tests.security.serving import serve

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("image") / "desk"
    folder.mkdir()
    return folder, image.build(folder)


@pytest.fixture
def part(built: tuple[Path, Path]) -> Iterator[Any]:
    """Starts a part of the image and gives its address once it answers."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(health: str, *module: str, **env: str) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        running.append(image.start(*built, *module, PORT=str(port), **env))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and running[-1].poll() is None:
            try:
                if requests.get(f"http://127.0.0.1:{port}{health}", timeout=2).ok:
                    return f"http://127.0.0.1:{port}"
            except requests.RequestException:
                time.sleep(0.1)
        raise AssertionError(f"{module} did not start: {running[-1].poll()}")

    yield begin
    for process in running:
        process.kill()
        process.wait(timeout=20)


def test_the_dockerfile_has_nothing_to_complain_about():
    hadolint = Path(sys.executable).parent / "hadolint"
    told = subprocess.run([str(hadolint), str(ROOT / "Dockerfile")], capture_output=True, text=True, timeout=60)
    assert (told.returncode, told.stdout) == (0, "")


def test_the_image_runs_as_nobody_in_particular_from_pinned_parts():
    told = image.steps()
    assert ("USER", ["10001"]) in told
    assert any("--require-hashes" in words for word, words in told if word == "RUN")
    assert not [words for word, words in told if word == "ADD"]
    (base,) = [words for word, words in told if word == "FROM"]
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", base[0]), "a release, not whatever is newest"


def test_no_secret_and_no_test_is_sent_to_the_build():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "*", "everything is left out unless it is named"
    assert not [line for line in lines if line.startswith("!") and ("tests" in line or ".env" in line or "git" in line)]
    assert "**/secrets.toml" in lines


def test_without_the_sandbox_the_image_has_none_of_it(built):
    folder, site = built
    assert not (folder / "services" / "sandbox").exists()
    assert not (folder / "tests").exists()
    told = subprocess.run(
        [sys.executable, "-c", "import bqemulator"], env={"PYTHONPATH": str(site)}, capture_output=True, text=True
    )
    assert "bqemulator is not in the image" in told.stderr


def test_the_dashboard_of_the_image_lets_in_who_signed_in_and_nobody_else(part, sandbox):
    proxy = Proxy()
    with serve(lambda *_: (200, json.dumps(proxy.public()).encode())) as keys:
        address = part("/_stcore/health", SANDBOX_URL=sandbox.address, IAP_AUDIENCE=AUDIENCE, IAP_KEYS_URL=keys)
        assert requests.get(address, timeout=10).status_code == 401
        signed = {"x-goog-iap-jwt-assertion": proxy.sign()}
        answer = requests.get(address, headers=signed, timeout=10)
        assert (answer.status_code, "<title>Prediction On-Call" in answer.text) == (200, True)
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert requests.get(f"{address}/_stcore/metrics", headers=signed, timeout=10).status_code == 404


@pytest.mark.parametrize("module", ["services.pipeline.worker", "services.pipeline.coordinator"])
def test_worker_and_coordinator_start_from_the_same_image(part, sandbox, module):
    address = part("/health", module, SANDBOX_URL=sandbox.address)
    assert requests.get(address, timeout=10).json()["status"] == "healthy"


def test_the_watchdog_looks_once_from_the_same_image_and_ends(built, sandbox):
    folder, site = built
    told = image.start(folder, site, "services.alerts.watchdog", SANDBOX_URL=sandbox.address)
    assert told.wait(timeout=90) == 0


def test_only_a_build_argument_brings_the_sandbox_with_what_it_needs():
    (install,) = [" ".join(words) for word, words in image.steps() if word == "RUN" and "pip" in words]
    assert ("ARG", ["SANDBOX=no"]) in image.steps()
    assert 'if [ "$SANDBOX" = yes ]; then list=requirements-dev.txt; else list=requirements.txt; fi' in install
    assert any(
        '"$SANDBOX" != yes' in " ".join(w) and "services/sandbox" in w[-2] for k, w in image.steps() if k == "RUN"
    )


def test_the_dashboard_without_a_sign_in_ends_with_a_sentence(built):
    process = subprocess.run(
        [sys.executable, "-m", "app.server"],
        cwd=built[0],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(built[1])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 1
    assert "No sign-in is configured" in process.stderr
    assert "Traceback" not in process.stderr


def test_the_pages_find_everything_they_import_in_the_image(built):
    texts = [path.read_text(encoding="utf-8") for path in sorted((built[0] / "pages").glob("*.py"))]
    assert len(texts) > 5
    lines = [line for text in texts for line in text.splitlines() if line.startswith(("import ", "from "))]
    wanted = "\n".join(line for line in dict.fromkeys(lines) if "(" not in line)
    told = subprocess.run(
        [sys.executable, "-c", wanted],
        cwd=built[0],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{built[1]}:{built[0]}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("python -m app.server", "/_stcore/health"),
        ("python -m services.pipeline.worker", "/health"),
        ("python -m services.pipeline.coordinator", "/health"),
        ("python -m services.alerts.watchdog", ""),
    ],
)
def test_the_health_check_asks_the_part_that_runs(command, path):
    assert alive.path_of(command) == path


def test_the_health_check_tells_a_part_that_is_down_from_one_that_answers():
    with serve(lambda path, *_: (200 if path == "/health" else 500, b"{}")) as address:
        port = {"PORT": address.rpartition(":")[2]}
        assert alive.trouble("python -m services.pipeline.coordinator", port) == ""
        assert "answers 500" in alive.trouble("python -m app.server", port)
    assert "does not answer" in alive.trouble("python -m app.server", port)
    assert alive.trouble("python -m services.alerts.watchdog", port) == ""


def test_the_packages_are_those_of_the_image_and_nothing_of_the_workshop():
    assert {"bqemulator", "duckdb", "playwright", "pytest", "yaml"} <= image.absent()
    assert not {"streamlit", "google", "jwt", "requests", "plotly"} & image.absent()
