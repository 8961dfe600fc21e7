"""What deploy/ would do to a project, read from its dry run; gcloud and bq are stand-ins that record their arguments."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.paths import ROOT

DEPLOY = ROOT / "deploy"
BASE_ENV = {
    "PROJECT": "nba-props-platform",
    "PROJECT_NUMBER": "123",
    "OPERATORS": "nora@example.com,max@example.com",
    "PEOPLE": "group:on-call@example.com,user:vic@example.com",
    "WATCHED_RUNTIME": "worker@nba-props-platform.iam.gserviceaccount.com",
    "SLACK_SECRET": "on-call-slack",
    "ESCALATE_AFTER_MIN": "15",
    "ESCALATION_KEY_SECRET": "on-call-pager-key",
    "ESCALATION_URL_SECRET": "on-call-pager-url",
    "WITH_WRITE_PATH": "yes",
}


ANSWERS = """case "$1" in version) echo 600.0.0;; show) echo '  "location": "EU",';; esac\n"""


@pytest.fixture
def fake_cli_dir(tmp_path: Path) -> Path:
    """A PATH on which gcloud and bq write their arguments into `called`."""
    for name in ("gcloud", "bq"):
        tool = tmp_path / name
        tool.write_text(f'#!/bin/sh\nprintf "%s\\n" "{name} $1 $2 $3" >> "{tmp_path}/called"\n{ANSWERS}')
        tool.chmod(0o755)
    (tmp_path / "called").touch()
    return tmp_path


def run_script(cli_dir: Path, script: str | Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in {**BASE_ENV, **env}.items() if value}
    return subprocess.run(
        [str(DEPLOY / script), *args],
        env={"PATH": f"{cli_dir}:{os.environ['PATH']}", **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


ECHO_COMMANDS = """
gcloud() { printf 'gcloud'; printf '\\x1f%s' "$@"; printf '\\x1e'; }
bq() { printf 'bq'; printf '\\x1f%s' "$@" "$(cat)"; printf '\\x1e'; }
"""


def parse_commands(output: str) -> list[list[str]]:
    """Every printed command with its arguments, bq's with its standard input, as a shell into which it is pasted understands it."""
    pasted = ["bash", "-c", ECHO_COMMANDS + output]
    parsed = subprocess.run(pasted, stdin=subprocess.DEVNULL, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert not parsed.stderr, parsed.stderr
    return [command.split("\x1f") for command in parsed.stdout.split("\x1e") if command]


def parse_yaml_files(output: str) -> dict[str, dict]:
    """The YAML files as the dry run shows them, by file."""
    lines_by_file: dict[str, list[str]] = {}
    current = None
    for line in output.splitlines():
        if line.startswith("# deploy/"):
            current = line.removeprefix("# deploy/").split(",")[0]
            lines_by_file[current] = []
        elif current and line.startswith("#   "):
            lines_by_file[current].append(line.removeprefix("#   "))
        else:
            current = None
    return {name: yaml.safe_load("\n".join(lines)) for name, lines in lines_by_file.items()}


@pytest.fixture
def dry_run_output(fake_cli_dir: Path) -> str:
    result = run_script(fake_cli_dir, "apply.sh")
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(
    "name", ["apply.sh", "undo.sh", "config.sh", "commands.sh", "services.sh", "monitoring/policies.sh"]
)
def test_the_scripts_are_valid_bash(name):
    assert subprocess.run(["bash", "-n", str(DEPLOY / name)], check=False).returncode == 0


@pytest.mark.parametrize("name", ["apply.sh", "undo.sh"])
def test_a_script_without_the_do_flag_calls_nothing(fake_cli_dir, name):
    for args in ((), ("--dry-run",)):
        result = run_script(fake_cli_dir, name, *args)
        assert result.returncode == 0, result.stderr
        assert "Nothing was changed" in result.stdout
    assert (fake_cli_dir / "called").read_text() == ""


@pytest.mark.parametrize("name", ["apply.sh", "undo.sh"])
def test_the_printed_commands_are_the_executed_ones(fake_cli_dir, name):
    planned = parse_commands(run_script(fake_cli_dir, name).stdout)
    result = run_script(fake_cli_dir, name, "--do")
    assert result.returncode == 0, result.stderr
    calls = (fake_cli_dir / "called").read_text().splitlines()
    # Whether something is there already is asked only with --do; what is there is updated, and not created or deleted.
    conditional = (
        "describe",
        "version",
        "bq show",
        "accounts create",
        "iam roles",
        "scheduler jobs",
        "monitoring policies",
        "metrics",
    )
    executed, printed = (
        [line for line in lines if not any(fragment in line for fragment in conditional)]
        for lines in (calls, [" ".join(command[:4]) for command in planned])
    )
    assert executed == printed
    call_counts = {"apply.sh": {"metrics update": 6}, "undo.sh": {"metrics delete": 6}}[name]
    assert {subcommand: sum(subcommand in line for line in calls) for subcommand in call_counts} == call_counts


def test_alert_policies_and_metrics_are_applied_with_the_rest_and_on_their_own(fake_cli_dir, dry_run_output):
    policies_only = run_script(fake_cli_dir, "monitoring/policies.sh", CHANNEL="projects/p/notificationChannels/1")
    command_lines = [" ".join(command) for command in parse_commands(policies_only.stdout)]
    for path in (DEPLOY / "monitoring").glob("*.yaml"):
        assert sum(str(path.relative_to(ROOT)) in line for line in command_lines) == 1
        assert str(path.relative_to(ROOT)) in dry_run_output
    assert all(
        "--notification-channels=projects/p/notificationChannels/1" in line
        for line in command_lines
        if "policies" in line
    )
    assert "reach nobody" in dry_run_output, "without a channel that is said"


def test_the_watchdog_manifest_has_the_dashboard_url_and_the_self_healing_switches(dry_run_output):
    env = container_env(parse_yaml_files(dry_run_output)["watchdog.yaml"])
    assert env["DASHBOARD_URL"] == "https://prediction-on-call-123.us-west2.run.app"
    assert {name for name in env if name.startswith("SELF_HEALING")} == {
        f"SELF_HEALING_{name}"
        for name in ("ALERT_ON_DML_LIMIT", "AUTO_REDUCE_CONCURRENCY", "RESUME_STALLED", "CONSOLIDATE_LEFTOVERS")
    }


def container_env(manifest: dict) -> dict[str, str]:
    """The environment of a service or of a job; "" for what comes from a secret."""
    spec = manifest["spec"]["template"]["spec"]
    container = (spec["template"]["spec"] if "template" in spec else spec)["containers"][0]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def test_dashboard_watchdog_and_coordinator_get_every_threshold_of_the_one_file(dry_run_output):
    from services.core.thresholds import Thresholds

    variables = {name for field in Thresholds.model_fields.values() for name in Thresholds.variables(field)}
    manifests = parse_yaml_files(dry_run_output)
    deployed = [container_env(manifests[f"{name}.yaml"]) for name in ("dashboard", "watchdog", "coordinator")]
    assert all(variables <= set(env) for env in deployed)
    assert {Thresholds.from_env(env).fingerprint for env in deployed} == {Thresholds.from_env({}).fingerprint}
    assert variables.isdisjoint(container_env(manifests["worker.yaml"]))


def test_a_changed_threshold_reaches_every_part_and_an_unsafe_line_is_refused(fake_cli_dir, tmp_path):
    deploy = tmp_path / "copy" / "deploy"
    shutil.copytree(DEPLOY, deploy)
    (deploy.parent / "queries").symlink_to(ROOT / "queries")
    thresholds = deploy / "thresholds.env"
    thresholds.write_text(thresholds.read_text().replace("ORPHAN_AFTER_H=24", "ORPHAN_AFTER_H=30"))
    manifests = parse_yaml_files(run_script(fake_cli_dir, deploy / "apply.sh").stdout)
    names = ("dashboard", "watchdog", "coordinator")
    assert {container_env(manifests[f"{name}.yaml"])["ORPHAN_AFTER_H"] for name in names} == {"30"}
    for line in ('ORPHAN_AFTER_H=1"}, {name: X', "ORPHAN_AFTER_H 30", "ORPHAN_AFTER_H=$(reboot)"):
        thresholds.write_text(line)
        refused = run_script(fake_cli_dir, deploy / "apply.sh", "--do")
        assert refused.returncode == 2
        assert f"deploy/thresholds.env: '{line}' is not NAME=value." in refused.stderr
    assert (fake_cli_dir / "called").read_text() == ""


def test_the_heartbeat_filter_matches_the_deployed_watchdog_name(dry_run_output):
    from services.alerts.heartbeat import HEARTBEAT_FILTER
    from services.sandbox.stand_ins import log_filter

    name = parse_yaml_files(dry_run_output)["watchdog.yaml"]["metadata"]["name"]
    resource = {"type": "cloud_run_job", "labels": {"job_name": name}}
    metric = yaml.safe_load((DEPLOY / "monitoring" / "metric-watchdog_looks.yaml").read_text(encoding="utf-8"))
    for payload in (
        {"jsonPayload": {"message": "Watchdog looked: 0 incidents", "logger": "watchdog"}},
        {"textPayload": "2025-12-30 06:45:00 - watchdog - INFO - Watchdog looked: 0 incidents"},
    ):
        line = {"resource": resource, **payload}
        assert log_filter.parse(HEARTBEAT_FILTER)(line)
        assert log_filter.parse(metric["filter"])(line)


@pytest.mark.parametrize(
    ("env", "expected_message"),
    [
        ({"PROJECT": ""}, "Set PROJECT"),
        ({"PROJECT": "x; rm -rf /"}, "is not a name"),
        ({"NAME": "a-name-that-is-far-too-long-for-accounts"}, "too long"),
        ({"OPERATORS": '"}, {name: X'}, "OPERATORS"),
        ({"IMAGE": "image$(reboot)"}, "IMAGE"),
    ],
)
def test_an_unsafe_name_is_refused(fake_cli_dir, env, expected_message):
    result = run_script(fake_cli_dir, "apply.sh", "--do", **env)
    assert result.returncode != 0
    assert expected_message in result.stderr
    assert (fake_cli_dir / "called").read_text() == ""


def test_an_unknown_argument_is_refused(fake_cli_dir):
    assert run_script(fake_cli_dir, "apply.sh", "--apply").returncode == 2


def test_every_own_table_is_created_if_missing(dry_run_output):
    bq_words = " ".join(
        argument for command in parse_commands(dry_run_output) for argument in command if command[0] == "bq"
    )
    for path in (ROOT / "queries" / "schema").glob("*.sql"):
        assert f"CREATE TABLE IF NOT EXISTS prediction_on_call.{path.stem}" in bq_words
    assert "DROP" not in bq_words.upper()
    assert "OR REPLACE" not in bq_words.upper()


def test_the_customers_services_are_never_overwritten(dry_run_output):
    service_names = {name: manifest["metadata"]["name"] for name, manifest in parse_yaml_files(dry_run_output).items()}
    assert service_names == {
        "worker.yaml": "prediction-on-call-worker",
        "coordinator.yaml": "prediction-on-call-coordinator",
        "dashboard.yaml": "prediction-on-call",
        "watchdog.yaml": "prediction-on-call-watchdog",
    }


def test_the_dashboard_is_one_instance_with_session_affinity_behind_iap(dry_run_output):
    manifest = parse_yaml_files(dry_run_output)["dashboard.yaml"]
    service, template = manifest["metadata"]["annotations"], manifest["spec"]["template"]
    assert service["run.googleapis.com/iap-enabled"] == "true"
    assert service["run.googleapis.com/minScale"] == service["run.googleapis.com/maxScale"] == "1"
    assert template["spec"]["timeoutSeconds"] == 3600
    assert template["metadata"]["annotations"]["run.googleapis.com/sessionAffinity"] == "true"
    env = {entry["name"]: entry["value"] for entry in template["spec"]["containers"][0]["env"]}
    assert env["IAP_AUDIENCE"] == "/projects/123/locations/us-west2/services/prediction-on-call"
    assert env["OPERATORS"] == "nora@example.com,max@example.com"
    assert env["ACTING_ACCOUNT"] != template["spec"]["serviceAccountName"]


def test_the_dashboard_starts_with_its_manifest(dry_run_output, monkeypatch):
    from services.auth import sign_in
    from services.core.settings import Settings

    env_entries = parse_yaml_files(dry_run_output)["dashboard.yaml"]["spec"]["template"]["spec"]["containers"][0]["env"]
    settings = Settings.from_env({entry["name"]: entry["value"] for entry in env_entries})
    sign_in.check_configured(settings)
    assert settings.operators == {"nora@example.com", "max@example.com"}


def test_message_links_use_the_dashboard_host_which_accepts_only_that_host(fake_cli_dir, dry_run_output):
    host = "prediction-on-call-123.us-west2.run.app"
    assert container_env(parse_yaml_files(dry_run_output)["watchdog.yaml"])["DASHBOARD_URL"] == f"https://{host}"
    dashboard = container_env(parse_yaml_files(dry_run_output)["dashboard.yaml"])
    assert (dashboard["DASHBOARD_HOSTS"], dashboard["DASHBOARD_URL"]) == (host, f"https://{host}")
    custom_address = parse_yaml_files(run_script(fake_cli_dir, "apply.sh", ADDRESS="https://desk.example.com").stdout)
    assert container_env(custom_address["watchdog.yaml"])["DASHBOARD_URL"] == "https://desk.example.com"
    assert run_script(fake_cli_dir, "apply.sh", ADDRESS="https://desk.example/?key=1").returncode == 2


def test_everything_is_where_the_predictions_are(fake_cli_dir):
    """The stand-in's `bq show` says EU."""
    output = run_script(fake_cli_dir, "apply.sh", "--do").stdout
    assert output.count("--location=EU ") == output.count("\nbq query ")
    locations = [container_env(m).get("BIGQUERY_LOCATION") for m in parse_yaml_files(output).values()]
    assert locations == ["EU"] * 4
    assert "--location=US " in run_script(fake_cli_dir, "apply.sh", "--do", LOCATION="US").stdout


def test_every_own_table_is_partitioned_clustered_and_described():
    for path in (ROOT / "queries" / "schema").glob("*.sql"):
        text = path.read_text(encoding="utf-8")
        assert "PARTITION BY" in text, path.name
        assert "CLUSTER BY" in text, path.name
        assert "OPTIONS (description" in text.rpartition("CLUSTER BY")[2], path.name


def test_undo_removes_every_role_that_outlives_the_deployment(fake_cli_dir, dry_run_output):
    """Roles on a service of ours go with it; those on a project, a dataset, a secret or another owner's service must be removed."""
    undo_arguments = {
        tuple(w for w in c if "role" in w or "member" in w)
        for c in parse_commands(run_script(fake_cli_dir, "undo.sh").stdout)
    }
    removed_bindings = {
        (w, m)
        for pair in undo_arguments
        if len(pair) == 2
        for m in pair
        for w in pair
        if "role=" in w and "member=" in m
    }
    persistent_scopes = ("projects", "secrets")
    for command in parse_commands(dry_run_output):
        if command[1] in persistent_scopes and "add-iam-policy-binding" in command:
            role = next(argument for argument in command if argument.startswith("--role="))
            member = next(argument for argument in command if argument.startswith("--member="))
            assert (role, member) in removed_bindings, command


def test_nothing_is_public_and_no_role_is_project_wide_admin(dry_run_output):
    assert "allUsers" not in dry_run_output
    assert "allAuthenticatedUsers" not in dry_run_output
    granted = {
        argument.removeprefix("--role=")
        for c in parse_commands(dry_run_output)
        for argument in c
        if argument.startswith("--role=")
    }
    assert not granted & {
        "roles/owner",
        "roles/editor",
        "roles/bigquery.admin",
        "roles/run.admin",
        "roles/logging.admin",
        "roles/cloudscheduler.admin",
    }


def test_the_reading_account_gets_no_write_role(dry_run_output):
    command_lines = [
        " ".join(command)
        for command in parse_commands(dry_run_output)
        if "prediction-on-call-read@" in " ".join(command)
    ]
    reader_grants = [
        line for line in command_lines if "member=serviceAccount:prediction-on-call-read@" in line or "TO " in line
    ]
    assert reader_grants
    assert not [
        line
        for line in reader_grants
        if any(w in line for w in ("dataEditor", "run.developer", "secretAccessor", "predictionOnCallJobs"))
    ]


def test_every_granted_role_is_documented_with_its_feature(dry_run_output):
    explained = (DEPLOY / "PERMISSIONS.md").read_text(encoding="utf-8")
    all_arguments = " ".join(argument for command in parse_commands(dry_run_output) for argument in command)
    granted = {w.strip("`") for w in all_arguments.replace("--role=", "").split() if w.strip("`").startswith("roles/")}
    assert {role for role in granted if role not in explained} == set()
    assert {r.strip("`") for r in explained.split() if r.startswith("`roles/")} <= granted


def test_no_secret_is_in_a_file_or_a_command(dry_run_output):
    assert "hooks.slack.com" not in dry_run_output
    watchdog = parse_yaml_files(dry_run_output)["watchdog.yaml"]["spec"]["template"]["spec"]["template"]["spec"][
        "containers"
    ][0]
    secrets = {e["name"]: e["valueFrom"]["secretKeyRef"]["name"] for e in watchdog["env"] if "valueFrom" in e}
    assert secrets == {
        "SLACK_WEBHOOK_URL": "on-call-slack",
        "ESCALATION_KEY": "on-call-pager-key",
        "ESCALATION_URL": "on-call-pager-url",
    }
    assert {"name": "ESCALATE_AFTER_MIN", "value": "15"} in watchdog["env"]


def test_without_a_slack_secret_the_watchdog_manifest_has_none(fake_cli_dir):
    unset = dict.fromkeys(("SLACK_SECRET", "ESCALATION_KEY_SECRET", "ESCALATION_URL_SECRET"), "")
    manifest = parse_yaml_files(run_script(fake_cli_dir, "apply.sh", **unset).stdout)["watchdog.yaml"]
    env = manifest["spec"]["template"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert not {"SLACK_WEBHOOK_URL", "ESCALATION_KEY", "ESCALATION_URL"} & {entry["name"] for entry in env}


def test_undo_deletes_the_deployment_and_keeps_the_records(fake_cli_dir):
    output = run_script(fake_cli_dir, "undo.sh").stdout
    assert "bq rm" not in output
    for name in ("prediction-on-call ", "prediction-on-call-worker", "prediction-on-call-coordinator", "-watchdog"):
        assert any("delete" in " ".join(c) and name.strip() in " ".join(c) for c in parse_commands(output)), name
    assert not [
        c for c in parse_commands(output) if "delete" in c and {"prediction-worker", "prediction-coordinator"} & set(c)
    ]
    assert "bq rm" in run_script(fake_cli_dir, "undo.sh", RECORDS="delete").stdout
