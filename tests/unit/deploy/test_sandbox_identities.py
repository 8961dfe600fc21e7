"""The sandbox's accounts have the roles that deploy/apply.sh grants, no more and no fewer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.sandbox.common.identities import (
    CALLER,
    PERMISSIONS_BY_ROLE,
    Binding,
    Caller,
    Identities,
    account_address,
    deployed_bindings,
)
from tests.support.paths import ROOT
from tests.unit.deploy.test_apply_scripts import fake_cli_dir, parse_commands, run_script

__all__ = ["fake_cli_dir"]
PROJECT = "nba-props-platform"
# In the sandbox our write path plays the watched services.
PLAYED_SERVICES = {
    "prediction-on-call-worker": "prediction-worker",
    "prediction-on-call-coordinator": "prediction-coordinator",
}
GRANT = re.compile(r"GRANT `(roles/\S+)` ON SCHEMA `\S+?\.(\w+)` TO (.*)")


def to_bindings(command: list[str]) -> Iterator[Binding]:
    """The bindings of one command of apply.sh; none for people and Google's own agents."""
    if grant := GRANT.search(" ".join(command)):
        for address in re.findall(r'"serviceAccount:([^"]+)"', grant[3]):
            yield Binding(address, grant[1], f"dataset/{grant[2]}")
    if "add-iam-policy-binding" not in command:
        return
    options = dict(word.removeprefix("--").split("=", 1) for word in command if word.startswith("--") and "=" in word)
    kind, member = command[1:3], options["member"].removeprefix("serviceAccount:")
    target = command[command.index("add-iam-policy-binding") + 1]
    resource = {
        "projects": "project",
        "services": f"service/{PLAYED_SERVICES.get(target, target)}",
        "jobs": f"job/{target}",
        "secrets": f"secret/{target}",
        "service-accounts": f"account/{target}",
    }[kind[0] if kind[0] in ("projects", "secrets") else kind[1]]
    if member.endswith(f"@{PROJECT}.iam.gserviceaccount.com"):
        role = options["role"].replace(f"projects/{PROJECT}/", "projects/PROJECT/")  # one of our own
        yield Binding(member, role, resource)


def test_the_sandbox_binds_the_roles_that_apply_grants(fake_cli_dir):
    output = run_script(fake_cli_dir, "apply.sh", WATCHED_RUNTIME=account_address("customer", PROJECT)).stdout
    commands = [command for command in parse_commands(output) if "iap" not in command]
    assert {binding for command in commands for binding in to_bindings(command)} == deployed_bindings(PROJECT)


def read_permission_lines() -> set[tuple[str, str, str]]:
    """(who, role, on) of each line of deploy/permissions.txt."""
    lines = (ROOT / "deploy" / "permissions.txt").read_text(encoding="utf-8").splitlines()
    fields = [line.split(maxsplit=2) for line in lines if line and not line.startswith("#")]
    return {(who, role, on) for who, role, on in fields}


def test_permissions_md_explains_each_line_of_the_list_and_no_other():
    text = (ROOT / "deploy" / "PERMISSIONS.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z, ]+) \| `(\S*roles/\S+)` \| ([^|]+) \| \S", text, re.MULTILINE)
    assert {(who.replace(", ", ","), role, on) for who, role, on in rows} == read_permission_lines()


def test_the_roles_that_the_doctor_asks_for_are_on_the_list():
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "services" / "doctor").glob("*.py"))
    asked_for = set(re.findall(r"roles/[a-zA-Z.]+", text))
    assert asked_for
    assert asked_for <= {role for _, role, _ in read_permission_lines()}


def test_every_bound_role_has_its_permissions():
    assert {binding.role for binding in deployed_bindings(PROJECT)} == set(PERMISSIONS_BY_ROLE)


def test_a_role_holds_on_its_resource_and_below_the_project_only():
    identities = Identities(PROJECT)
    act, read = account_address("act", PROJECT), account_address("read", PROJECT)
    assert identities.allows(act, "bigquery.tables.updateData", "dataset/nba_predictions")
    assert not identities.allows(act, "bigquery.tables.updateData", "dataset/nba_raw")
    assert not identities.allows(read, "bigquery.tables.updateData", "dataset/nba_predictions")
    assert not identities.allows(act, "run.operations.get"), "a role on a service does not reach the location"
    assert identities.allows(identities.developer, "run.operations.get")


def test_a_permission_that_is_taken_away_is_taken_from_everybody():
    identities = Identities(PROJECT)
    identities.denied_permissions.add("bigquery.jobs.create")
    assert not identities.allows(identities.developer, "bigquery.jobs.create")
    CALLER.set(Caller(identities.developer))
    assert identities.granted(["bigquery.jobs.create", "bigquery.jobs.get"]) == ["bigquery.jobs.get"]
