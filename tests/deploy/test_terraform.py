"""deploy/terraform beside the scripts: formatted, and its grants and thresholds are those of the files that both read."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.unit.deploy.test_sandbox_identities import read_permission_lines

MODULE = ROOT / "deploy" / "terraform"
EVERYTHING = {
    "with_write_path": "true",
    "slack_secret": "on-call-slack",
    "escalation_key_secret": "on-call-pager-key",
    "escalation_url_secret": "on-call-pager-url",
    "watched_runtime": "worker@p.iam.gserviceaccount.com",
}


@pytest.fixture(scope="module")
def terraform() -> str:
    found = shutil.which("terraform")
    if found is None:
        pytest.skip("terraform is not on this machine")
    return found


def test_the_module_is_formatted(terraform):
    done = subprocess.run(
        [terraform, "fmt", "-check", "-diff", str(MODULE)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout


def evaluate(terraform: str, folder: Path, expression: str, **variables: str) -> str:
    """What the module's locals that need no provider make of an expression; a string."""
    permissions = (MODULE / "permissions.tf").read_text(encoding="utf-8")
    own_locals = permissions[permissions.index("locals {") : permissions.index('\nresource "')]
    (folder / "module").mkdir()
    (folder / "module" / "locals.tf").write_text(re.sub(r"  targets = \{.*?\n  \}\n", "", own_locals, flags=re.DOTALL))
    for source in (MODULE / "variables.tf", ROOT / "deploy" / "permissions.txt"):
        shutil.copy(source, folder / ("module" if source.suffix == ".tf" else "."))
    flags = [f"-var={name}={value}" for name, value in {"project": "p", "image": "i", **variables}.items()]
    done = subprocess.run(
        [terraform, f"-chdir={folder / 'module'}", "console", *flags],
        input=expression,
        env={"PATH": "/usr/bin:/bin", "TF_CLI_CONFIG_FILE": "/dev/null"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout))


def test_it_grants_what_the_list_says(terraform, tmp_path):
    keys = evaluate(terraform, tmp_path, 'join("; ", keys(local.grants))', **EVERYTHING).split("; ")
    expected = {f"{who} {role} {on}" for names, role, on in read_permission_lines() for who in names.split(",")}
    assert set(keys) == expected


def test_without_the_write_path_nothing_is_granted_to_it_or_on_it(terraform, tmp_path):
    keys = evaluate(terraform, tmp_path, 'join("; ", keys(local.grants))').split("; ")
    assert keys
    left_out = re.compile(r"pipeline|PIPELINE| WORKER| COORDINATOR|SLACK_SECRET|ESCALATION|WATCHED_RUNTIME")
    assert not [key for key in keys if left_out.search(key)]


def test_its_services_set_the_variables_that_the_manifests_set():
    text = (MODULE / "services.tf").read_text(encoding="utf-8") + (MODULE / "main.tf").read_text(encoding="utf-8")
    manifests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "deploy").glob("*.yaml"))
    names = set(re.findall(r"- \{name: ([A-Z_]+)", manifests))
    assert names
    assert {name for name in names if not re.search(rf"\b{name}\b", text)} == set()
