"""What deploy/ would do to a project, read from its dry run; gcloud and bq are stand-ins that only write down what they are told."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
NAMES = {
    "PROJECT": "nba-props-platform",
    "PROJECT_NUMBER": "123",
    "OPERATORS": "nora@example.com,max@example.com",
    "PEOPLE": "group:on-call@example.com,user:vic@example.com",
    "WATCHED_RUNTIME": "worker@nba-props-platform.iam.gserviceaccount.com",
    "SLACK_SECRET": "on-call-slack",
    "WITH_WRITE_PATH": "yes",
}


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH on which gcloud and bq write their arguments into `called`."""
    for name in ("gcloud", "bq"):
        tool = tmp_path / name
        tool.write_text(f'#!/bin/sh\nprintf "%s\\n" "{name} $1 $2 $3" >> "{tmp_path}/called"\n')
        tool.chmod(0o755)
    (tmp_path / "called").touch()
    return tmp_path


def script(tools: Path, name: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    named = {name: value for name, value in {**NAMES, **env}.items() if value}
    return subprocess.run(
        [str(DEPLOY / name), *args],
        env={"PATH": f"{tools}:{os.environ['PATH']}", **named},
        capture_output=True,
        text=True,
        timeout=60,
    )


READ_ALOUD = """
gcloud() { printf 'gcloud'; printf '\\x1f%s' "$@"; printf '\\x1e'; }
bq() { printf 'bq'; printf '\\x1f%s' "$@"; printf '\\x1e'; }
"""


def commands(printed: str) -> list[list[str]]:
    """Every printed command with its arguments, as a shell into which it is pasted understands it."""
    read = subprocess.run(["bash", "-s"], input=READ_ALOUD + printed, capture_output=True, text=True, timeout=60)
    assert not read.stderr, read.stderr
    return [command.split("\x1f") for command in read.stdout.split("\x1e") if command]


def filled_in(printed: str) -> dict[str, dict]:
    """The YAML files as the dry run shows them, by file."""
    found: dict[str, list[str]] = {}
    current = None
    for line in printed.splitlines():
        if line.startswith("# deploy/"):
            current = line.removeprefix("# deploy/").split(",")[0]
            found[current] = []
        elif current and line.startswith("#   "):
            found[current].append(line.removeprefix("#   "))
        else:
            current = None
    return {name: yaml.safe_load("\n".join(lines)) for name, lines in found.items()}


@pytest.fixture
def printed(tools: Path) -> str:
    done = script(tools, "apply.sh")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["apply.sh", "undo.sh", "names.sh", "monitoring/policies.sh"])
def test_the_scripts_are_valid_bash(name):
    assert subprocess.run(["bash", "-n", str(DEPLOY / name)], check=False).returncode == 0


@pytest.mark.parametrize("name", ["apply.sh", "undo.sh"])
def test_without_being_told_to_a_script_calls_nothing(tools, name):
    for args in ((), ("--dry-run",)):
        done = script(tools, name, *args)
        assert done.returncode == 0, done.stderr
        assert "Nothing was changed" in done.stdout
    assert (tools / "called").read_text() == ""


@pytest.mark.parametrize("name", ["apply.sh", "undo.sh"])
def test_what_is_printed_is_what_is_run(tools, name):
    shown = commands(script(tools, name).stdout)
    done = script(tools, name, "--do")
    assert done.returncode == 0, done.stderr
    calls = (tools / "called").read_text().splitlines()
    # Whether something is there already is asked only with --do; what is there is updated, and not created or deleted.
    asked = ("scheduler", "gcloud monitoring", "gcloud logging")
    ran = [line for line in calls if not any(word in line for word in asked)]
    assert ran == [told for c in shown if not any(word in (told := " ".join(c[:4])) for word in asked)]
    verbs = {"apply.sh": ("metrics update", "policies create"), "undo.sh": ("metrics delete", "policies list")}[name]
    for verb in verbs:
        assert sum(verb in line for line in calls) == 5


def test_the_alert_policies_and_their_metrics_are_applied_with_the_rest_and_alone(tools, printed):
    alone = script(tools, "monitoring/policies.sh", CHANNEL="projects/p/notificationChannels/1")
    told = [" ".join(command) for command in commands(alone.stdout)]
    for path in (DEPLOY / "monitoring").glob("*.yaml"):
        assert sum(str(path.relative_to(ROOT)) in line for line in told) == 1
        assert str(path.relative_to(ROOT)) in printed
    assert all(
        "--notification-channels=projects/p/notificationChannels/1" in line for line in told if "policies" in line
    )
    assert "reach nobody" in printed, "without a channel that is said"


def test_the_watchdog_is_told_where_its_links_lead_and_its_switches_stand_in_its_file(printed):
    told = filled_in(printed)["watchdog.yaml"]["spec"]["template"]["spec"]["template"]["spec"]["containers"][0]["env"]
    env = {each["name"]: each.get("value") for each in told}
    assert env["DASHBOARD_URL"] == "https://prediction-on-call-123.us-west2.run.app"
    assert {name for name in env if name.startswith("SELF_HEALING")} == {
        f"SELF_HEALING_{name}"
        for name in ("ALERT_ON_DML_LIMIT", "AUTO_REDUCE_CONCURRENCY", "RESUME_STALLED", "CONSOLIDATE_LEFTOVERS")
    }


def test_the_watchdog_is_found_in_the_log_under_the_name_it_is_deployed_by(printed):
    from services.alerts.heartbeat import LOOKED
    from services.sandbox.stand_ins import log_filter

    name = filled_in(printed)["watchdog.yaml"]["metadata"]["name"]
    line = {
        "resource": {"type": "cloud_run_job", "labels": {"job_name": name}},
        "textPayload": "2025-12-30 06:45:00 - watchdog - INFO - Watchdog looked: 0 incidents",
    }
    metric = yaml.safe_load((DEPLOY / "monitoring" / "metric-watchdog_looks.yaml").read_text(encoding="utf-8"))
    assert log_filter.parse(LOOKED)(line)
    assert log_filter.parse(metric["filter"])(line)


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"PROJECT": ""}, "Set PROJECT"),
        ({"PROJECT": "x; rm -rf /"}, "is not a name"),
        ({"NAME": "a-name-that-is-far-too-long-for-accounts"}, "too long"),
        ({"OPERATORS": '"}, {name: X'}, "OPERATORS"),
        ({"IMAGE": "image$(reboot)"}, "IMAGE"),
    ],
)
def test_a_name_that_could_do_harm_is_refused(tools, env, says):
    done = script(tools, "apply.sh", "--do", **env)
    assert done.returncode != 0
    assert says in done.stderr
    assert (tools / "called").read_text() == ""


def test_an_unknown_word_is_refused(tools):
    assert script(tools, "apply.sh", "--apply").returncode == 2


def test_every_table_of_ours_is_created_where_it_is_missing(printed):
    told = " ".join(word for command in commands(printed) for word in command if command[0] == "bq")
    for path in (ROOT / "queries" / "schema").glob("*.sql"):
        assert f"CREATE TABLE IF NOT EXISTS prediction_on_call.{path.stem}" in told
    assert "DROP" not in told.upper()
    assert "OR REPLACE" not in told.upper()


def test_the_customers_services_are_never_deployed_over(printed):
    named = {name: told["metadata"]["name"] for name, told in filled_in(printed).items()}
    assert named == {
        "worker.yaml": "prediction-on-call-worker",
        "coordinator.yaml": "prediction-on-call-coordinator",
        "dashboard.yaml": "prediction-on-call",
        "watchdog.yaml": "prediction-on-call-watchdog",
    }


def test_the_dashboard_keeps_its_websockets_and_is_one_instance_behind_the_proxy(printed):
    told = filled_in(printed)["dashboard.yaml"]
    service, template = told["metadata"]["annotations"], told["spec"]["template"]
    assert service["run.googleapis.com/iap-enabled"] == "true"
    assert service["run.googleapis.com/minScale"] == service["run.googleapis.com/maxScale"] == "1"
    assert template["spec"]["timeoutSeconds"] == 3600
    assert template["metadata"]["annotations"]["run.googleapis.com/sessionAffinity"] == "true"
    env = {each["name"]: each["value"] for each in template["spec"]["containers"][0]["env"]}
    assert env["IAP_AUDIENCE"] == "/projects/123/locations/us-west2/services/prediction-on-call"
    assert env["OPERATORS"] == "nora@example.com,max@example.com"
    assert env["ACTING_ACCOUNT"] != template["spec"]["serviceAccountName"]


def test_the_dashboard_starts_with_what_its_file_says(printed, monkeypatch):
    from services.auth import sign_in as identity
    from services.core.settings import Settings

    told = filled_in(printed)["dashboard.yaml"]["spec"]["template"]["spec"]["containers"][0]["env"]
    settings = Settings.from_env({each["name"]: each["value"] for each in told})
    identity.check_configured(settings)
    assert settings.operators == {"nora@example.com", "max@example.com"}


def test_links_in_messages_lead_to_the_dashboard_which_answers_under_that_name_only(tools, printed):
    def env(told: dict) -> dict[str, str]:
        spec = told["spec"]["template"]["spec"]
        container = (spec["template"]["spec"] if "template" in spec else spec)["containers"][0]
        return {each["name"]: each.get("value", "") for each in container["env"]}

    host = "prediction-on-call-123.us-west2.run.app"
    assert env(filled_in(printed)["watchdog.yaml"])["DASHBOARD_URL"] == f"https://{host}"
    assert env(filled_in(printed)["dashboard.yaml"])["DASHBOARD_HOSTS"] == host
    own = filled_in(script(tools, "apply.sh", ADDRESS="https://desk.example.com").stdout)
    assert env(own["watchdog.yaml"])["DASHBOARD_URL"] == "https://desk.example.com"
    assert script(tools, "apply.sh", ADDRESS="https://desk.example/?key=1").returncode == 2


def test_each_table_of_ours_is_partitioned_clustered_and_says_what_it_is_for():
    for path in (ROOT / "queries" / "schema").glob("*.sql"):
        text = path.read_text(encoding="utf-8")
        assert "PARTITION BY" in text, path.name
        assert "CLUSTER BY" in text, path.name
        assert "OPTIONS (description" in text.rpartition("CLUSTER BY")[2], path.name


def test_undoing_takes_back_every_role_that_outlives_what_was_deployed(tools, printed):
    """Roles on a service of ours go with it; those on a project, a dataset, a secret or somebody else's service must be taken."""
    undone = {tuple(w for w in c if "role" in w or "member" in w) for c in commands(script(tools, "undo.sh").stdout)}
    taken = {(w, m) for pair in undone if len(pair) == 2 for m in pair for w in pair if "role=" in w and "member=" in m}
    stays = ("projects", "secrets")
    for command in commands(printed):
        if command[1] in stays and "add-iam-policy-binding" in command:
            role = next(word for word in command if word.startswith("--role="))
            member = next(word for word in command if word.startswith("--member="))
            assert (role, member) in taken, command


def test_nobody_unknown_may_call_anything_and_nobody_owns_the_project(printed):
    assert "allUsers" not in printed
    assert "allAuthenticatedUsers" not in printed
    granted = {word.removeprefix("--role=") for c in commands(printed) for word in c if word.startswith("--role=")}
    assert not granted & {
        "roles/owner",
        "roles/editor",
        "roles/bigquery.admin",
        "roles/run.admin",
        "roles/logging.admin",
    }


def test_who_reads_is_granted_nothing_that_changes_data_or_services(printed):
    told = [" ".join(command) for command in commands(printed) if "prediction-on-call-read@" in " ".join(command)]
    mine = [line for line in told if "member=serviceAccount:prediction-on-call-read@" in line or "TO " in line]
    assert mine
    assert not [line for line in mine if any(w in line for w in ("dataEditor", "run.developer", "secretAccessor"))]


def test_every_permission_that_is_granted_is_explained_with_its_feature(printed):
    explained = (DEPLOY / "PERMISSIONS.md").read_text(encoding="utf-8")
    words = " ".join(word for command in commands(printed) for word in command)
    granted = {w.strip("`") for w in words.replace("--role=", "").split() if w.strip("`").startswith("roles/")}
    assert {role for role in granted if role not in explained} == set()
    assert {r.strip("`") for r in explained.split() if r.startswith("`roles/")} <= granted


def test_no_secret_stands_in_a_file_or_a_command(printed):
    assert "hooks.slack.com" not in printed
    watchdog = filled_in(printed)["watchdog.yaml"]["spec"]["template"]["spec"]["template"]["spec"]["containers"][0]
    slack = next(each for each in watchdog["env"] if each["name"] == "SLACK_WEBHOOK_URL")
    assert slack["valueFrom"]["secretKeyRef"]["name"] == "on-call-slack"


def test_without_a_slack_secret_the_watchdog_is_told_of_none(tools):
    told = filled_in(script(tools, "apply.sh", SLACK_SECRET="").stdout)["watchdog.yaml"]
    env = told["spec"]["template"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert "SLACK_WEBHOOK_URL" not in {each["name"] for each in env}


def test_undoing_deletes_what_was_brought_and_keeps_the_record(tools):
    shown = script(tools, "undo.sh").stdout
    assert "bq rm" not in shown
    for name in ("prediction-on-call ", "prediction-on-call-worker", "prediction-on-call-coordinator", "-watchdog"):
        assert any("delete" in " ".join(c) and name.strip() in " ".join(c) for c in commands(shown)), name
    assert not [
        c for c in commands(shown) if "delete" in c and {"prediction-worker", "prediction-coordinator"} & set(c)
    ]
    assert "bq rm" in script(tools, "undo.sh", RECORDS="delete").stdout
