"""deploy/ with the real gcloud and bq against a control plane that remembers; the whole of it is `make apply-rehearsal`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.tools.control_plane.cloud import Cloud, Fault, Refused
from tests.tools.control_plane.customer import CHANNEL, SETTINGS, add_service
from tests.tools.control_plane.monitoring import unknown_metric
from tests.tools.control_plane.rehearsal import reduce_capacity
from tests.tools.control_plane.tools import Tools

CREATE_POLICY = "monitoring.projects.alertPolicies.create"
DENIED = Refused(403, "PERMISSION_DENIED", "Permission 'iam.serviceAccounts.create' denied on resource.")


def run_part(tools: Tools, part: str, **settings: str) -> tuple[int, str]:
    """A part of apply.sh as it runs there, after its configuration: its exit code and what it printed."""
    lines = f"set -- --do; source deploy/config.sh; PROJECT_NUMBER=123456789012 LOCATION=US ADDRESS= HOSTS= AUDIENCE=; {part}"
    done = tools.run(["bash", "-c", lines], **{"RETRY_EVERY": "0", "RETRY_FOR": "20", **SETTINGS, **settings})
    return done.returncode, done.stdout + done.stderr


POLICIES = "source deploy/monitoring/policies.sh; apply_policies"


def channels(cloud: Cloud) -> list[list[str]]:
    return [policy.get("notificationChannels", []) for policy in cloud.alert_policies.values()]


@pytest.mark.parametrize("name", ["actions", "batches"])
def test_sql_that_begins_with_a_comment_reaches_bigquery(tools, cloud, name):
    cloud.datasets["prediction_on_call"] = set()
    code, output = run_part(tools, f"sql queries/schema/{name}.sql")
    assert code == 0, output
    assert cloud.statements == [(ROOT / f"queries/schema/{name}.sql").read_text(encoding="utf-8")]
    assert list(cloud.tables) == [f"prediction_on_call.{name}"]


def test_policies_keep_their_channels_and_wait_for_new_metrics(tools, cloud, tmp_path):
    with_functions = "source deploy/monitoring/policies.sh"
    cloud.metrics["consolidation_failures"] = {"name": "consolidation_failures"}
    cloud.faults.append(Fault(CREATE_POLICY, unknown_metric("consolidation_failures"), times=2))
    one = _folder_with_one_policy(tmp_path)
    code, output = run_part(tools, f"{with_functions}; cd {one}; apply_policies")
    assert code == 0, output
    assert output.count("# Not yet, after ") == 2, "progress is shown while a metric is new"
    assert channels(cloud) == [[CHANNEL]]

    (policy,) = cloud.alert_policies.values()
    policy |= {"notificationChannels": [CHANNEL, f"{CHANNEL}5"], "enabled": False}
    cloud.channels.add(f"{CHANNEL}5")
    code, output = run_part(tools, f"{with_functions}; cd {one}; apply_policies", CHANNEL="")
    assert code == 0, output
    assert channels(cloud) == [[CHANNEL, f"{CHANNEL}5"]], "an update without CHANNEL keeps what is there"
    (policy,) = cloud.alert_policies.values()
    assert policy["enabled"] is False, "and a policy that somebody switched off stays off"


def _folder_with_one_policy(folder: Path) -> Path:
    """A folder with one metric and its policy, so that a test runs each command once."""
    target = folder / "deploy" / "monitoring"
    target.mkdir(parents=True)
    for name in ("metric-consolidation_failures.yaml", "policy-failed-consolidation.yaml"):
        (target / name).symlink_to(ROOT / "deploy" / "monitoring" / name)
    return folder


def test_a_metric_that_stays_unknown_ends_in_one_sentence(tools, cloud):
    cloud.faults.append(Fault(CREATE_POLICY, unknown_metric("x")))
    code, output = run_part(tools, POLICIES, RETRY_FOR="1", RETRY_EVERY="1")
    assert code == 1
    assert "Stopped: after 1 s a new metric is still unknown to the alert policies." in output


def test_an_upgrade_keeps_a_reduced_capacity_and_its_annotations(tools, cloud):
    add_service(cloud, "prediction-on-call-worker")
    cloud.accounts["prediction-on-call-pipeline@nba-props-platform.iam.gserviceaccount.com"] = {}
    reduce_capacity(cloud)
    noted = dict(cloud.services["prediction-on-call-worker"]["metadata"]["annotations"])
    code, output = run_part(tools, "source deploy/services.sh; keep_capacity; replace services worker.yaml")
    assert code == 0, output
    worker = cloud.services["prediction-on-call-worker"]
    kept = worker["metadata"]["annotations"]
    assert {name: kept[name] for name in noted} == noted
    assert worker["spec"]["template"]["spec"]["containerConcurrency"] == 3
    assert "prediction-on-call/prediction-on-call" in worker["spec"]["template"]["spec"]["containers"][0]["image"]


def test_our_own_role_is_made_updated_and_made_again_after_an_undo(tools, cloud):
    name = f"projects/{cloud.project}/roles/predictionOnCallJobs"
    delete = 'try gcloud iam roles delete predictionOnCallJobs --project="$PROJECT" --quiet'
    code, output = run_part(tools, f"job_role; {delete}; job_role")
    assert code == 0, output
    jobs = {f"cloudscheduler.jobs.{verb}" for verb in ("run", "pause", "enable")}
    assert set(cloud.custom_roles[name]["includedPermissions"]) == jobs
    assert "deleted" not in cloud.custom_roles[name]


def test_each_kind_of_grant_is_accepted(tools, cloud):
    for who in ("read", "act", "tick", "pipeline"):
        cloud.accounts[f"prediction-on-call-{who}@{cloud.project}.iam.gserviceaccount.com"] = {}
    act = f"serviceAccount:prediction-on-call-act@{cloud.project}.iam.gserviceaccount.com"
    kinds = {
        "project - roles/run.viewer": "project",
        "dataset nba_raw roles/bigquery.dataViewer": "dataset",
        "account $PIPELINE roles/iam.serviceAccountUser": f"account/prediction-on-call-pipeline@{cloud.project}.iam.gserviceaccount.com",
        "secret on-call-slack roles/secretmanager.secretAccessor": "secret/on-call-slack",
        "service prediction-worker roles/run.developer": "service/prediction-worker",
    }
    lines = []
    for words in kinds:
        kind, target, role = words.split()
        lines.append(f'grant {role} {kind} {target} "{act}"')
    code, output = run_part(tools, "; ".join(lines))
    assert code == 0, output
    for words, resource in kinds.items():
        granted = cloud.datasets["nba_raw"] if resource == "dataset" else cloud.roles(resource)
        assert granted == {(words.split()[2], act)}, resource


def test_a_second_apply_finishes_what_the_first_began(tools, cloud):
    lines = 'trap finish EXIT; account "$READ" reads; account "$ACT" acts'
    cloud.faults.append(Fault("iam.projects.serviceAccounts.create", DENIED, skip=1, times=1))
    code, output = run_part(tools, lines)
    assert code == 1
    assert "Stopped: Google refused it to this account" in output
    assert "Ask an owner of the project for roles/owner while you deploy" in output
    after = output[output.index("# What is there now") :]
    assert "prediction-on-call" in after
    assert "run the same command again and it goes on" in after
    code, output = run_part(tools, lines.replace("trap finish EXIT; ", ""))
    assert code == 0, output
    assert [name.partition("@")[0] for name in cloud.accounts][-2:] == [
        "prediction-on-call-read",
        "prediction-on-call-act",
    ]


@pytest.mark.parametrize(
    ("on_path", "expected"),
    [
        ((), "gcloud is not installed: https://cloud.google.com/sdk/docs/install has both gcloud and bq."),
        (("gcloud 599.0.0",), "bq is not installed: "),
        (("gcloud 527.0.0", "bq 1"), "gcloud 527.0.0 is older than 528: run gcloud components update"),
        (("gcloud oops", "bq 1"), "gcloud oops is older than 528"),
    ],
)
@pytest.mark.parametrize("script", ["apply.sh", "undo.sh", "monitoring/policies.sh"])
def test_a_missing_or_an_old_tool_is_named_before_anything_is_changed(tmp_path, script, on_path, expected):
    for command in ("bash", "dirname", "sed", "grep", "sleep", "tail", "head"):
        (tmp_path / command).symlink_to(str(shutil.which(command)))
    for tool in on_path:
        name, version = tool.split()
        (tmp_path / name).write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / name).chmod(0o755)
    env = {"PATH": str(tmp_path), "PROJECT": "p-example"}
    done = subprocess.run(
        ["bash", f"deploy/{script}", "--do"], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(expected)
    assert done.stderr.count("\n") == 1, "one sentence"


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        (Refused(403, "PERMISSION_DENIED", "The caller does not have permission"), "Ask an owner of the project for"),
        (Refused(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."), "Run: gcloud auth login"),
    ],
)
def test_no_permission_and_no_sign_in_end_in_one_sentence(tools, cloud, refused, expected):
    cloud.faults.append(Fault("cloudresourcemanager.projects.get", refused))
    code, output = run_part(tools, 'ask gcloud projects describe "$PROJECT" >/dev/null')
    assert code == 1
    assert expected in output.splitlines()[-1]


def test_an_api_that_is_off_is_waited_for_and_then_named(tools, cloud):
    cloud.enabled.remove("secretmanager.googleapis.com")
    command = "run gcloud secrets add-iam-policy-binding on-call-slack --project=$PROJECT --member=user:a@example.com --role=roles/viewer"
    code, output = run_part(tools, command, RETRY_FOR="5", RETRY_EVERY="1")
    assert code == 1
    assert "# Not yet, after" in output
    assert output.splitlines()[-1].startswith("Stopped: an API is off.")


def test_what_undo_does_not_find_is_no_failure_and_what_fails_is_listed(tools, cloud):
    lines = "try gcloud logging metrics delete x --project=$PROJECT --quiet"
    code, output = run_part(tools, lines + "; echo failed: ${#FAILED[@]}")
    assert (code, "# It is not there." in output, "failed: 0" in output) == (0, True, True), output
    cloud.faults.append(Fault("logging.projects.metrics.delete", DENIED))
    code, output = run_part(tools, lines + '; echo "failed: ${FAILED[*]}"')
    assert (code, "failed: gcloud logging metrics delete x" in output) == (0, True), output
