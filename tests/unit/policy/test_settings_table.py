"""`make settings` lists every variable that the code reads, with no secret in it."""

from __future__ import annotations

import ast

import pytest

from services.core.errors import SettingsError
from services.policy.settings_table import GROUPS, render_table
from tests.support.paths import ROOT

MAY_READ_THE_ENVIRONMENT = {
    "services/core/env_settings.py",  # the one reader
    "services/cli/shown_plans.py",  # XDG_STATE_HOME: where a user keeps state, no setting of ours
    "services/sandbox/__main__.py",  # passes the whole environment on to its children
}


def test_every_variable_of_every_group_is_listed_once():
    names = [line.split("  ")[0].strip() for line in render_table({}).splitlines()[1:]]
    fields = [(group, field) for group in GROUPS for field in group.model_fields.values()]
    assert set(names) == {" or ".join(group.variables(field)) for group, field in fields}
    assert len(names) == len(set(names))


def test_every_setting_has_a_meaning():
    assert [field for group in GROUPS for field in group.model_fields.values() if not field.description] == []


def test_secrets_are_masked():
    table = render_table({"SLACK_WEBHOOK_URL": "https://hooks.slack.example/services/T0/B0/abc"})
    assert "T0" not in table
    assert any(line.split()[:2] == ["SLACK_WEBHOOK_URL", "set"] for line in table.splitlines())


def test_an_invalid_variable_of_any_group_is_refused():
    with pytest.raises(SettingsError, match="SANDBOX_PORT"):
        render_table({"SANDBOX_PORT": "0"})


def test_nothing_else_reads_the_environment():
    readers = {
        str(path.relative_to(ROOT))
        for folder in ("app", "pages", "services")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    assert readers == MAY_READ_THE_ENVIRONMENT
