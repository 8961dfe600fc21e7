"""The Dockerfile: linted, unprivileged, hashed packages, and none of development."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

from tests.support import image
from tests.support.discovery import find_method
from tests.support.paths import ROOT


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
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", base[0]), (
        "one image, not whatever is newest"
    )


def test_the_user_of_the_image_owns_a_home_folder_in_which_the_sandbox_finds_its_compiled_module():
    instructions = [(instruction, " ".join(arguments)) for instruction, arguments in image.parse_dockerfile()]
    (install,) = [text for instruction, text in instructions if instruction == "RUN" and "useradd" in text]
    assert "--create-home --home-dir /home/desk" in install
    assert any("HOME=/home/desk" in text for instruction, text in instructions if instruction == "ENV")
    compiling = next(n for n, (_, text) in enumerate(instructions) if "services.sandbox.bigquery.googlesql" in text)
    assert compiling > instructions.index(("USER", "10001")), "by the user whose home it is"


def test_no_secret_and_no_test_is_in_the_build_context():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "*", "everything is left out unless it is named"
    assert not [line for line in lines if line.startswith("!") and ("tests" in line or ".env" in line or "git" in line)]
    assert "**/secrets.toml" in lines


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


def test_the_image_contains_runtime_packages_and_no_development_packages():
    assert {"bqemulator", "duckdb", "playwright", "pytest", "yaml"} <= image.packages_not_in_image()
    assert not {"streamlit", "google", "jwt", "requests", "plotly"} & image.packages_not_in_image()


def test_cloud_build_accepts_the_build_and_must_attest_it():
    build = yaml.safe_load((ROOT / "deploy/cloudbuild.yaml").read_text(encoding="utf-8"))
    method = find_method("POST", "/v1/projects/p/builds", ("cloudbuild.v1",))
    assert method is not None
    assert method.body_problems("request", build, enum_numbers=False) == []
    assert build["options"]["requestedVerifyOption"] == "VERIFIED"
