"""What the doctor says of a desk that is well, of one like the customer's, and of one broken in each of the ways that happen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from google.cloud import bigquery

from services.core.result import Health
from services.core.settings import Settings
from services.doctor.__main__ import as_text
from services.doctor.examination import read_examination
from services.doctor.finding import Finding
from services.gcp.clients import Cloud, connect
from services.sandbox.bigquery.job_server import Speed
from services.sandbox.common.fault_injection import Fault
from services.sandbox.scenarios.build import build
from services.sandbox.server import Sandbox, start_sandbox
from tests.security.serving import serve

PREDICTIONS = "nba_predictions.player_prop_predictions"
OURS = b'{"service": "prediction-coordinator", "supports": ["players", "resume"]}'
THEIRS = b'{"service": "prediction-coordinator", "status": "healthy", "current_batch": null}'


@pytest.fixture(scope="module")
def own() -> Iterator[Sandbox]:
    sandbox = start_sandbox(build(), speed=Speed(scale=0.01))
    yield sandbox
    sandbox.stop()


@pytest.fixture(scope="module")
def coordinator() -> Iterator[str]:
    with serve(lambda *_: (200, OURS)) as address:
        yield address


@pytest.fixture
def look(own: Sandbox, coordinator: str) -> Iterator[Any]:
    """Examines the module's sandbox under settings; what it found, by what it is about."""
    own.world.reset_limits()

    def examine(**env: str) -> dict[str, Finding]:
        cloud = connect(Settings.from_env({"SANDBOX_URL": own.address, "COORDINATOR_URL": coordinator, **env}))
        return {finding.about: finding for finding in read_examination(cloud).findings}

    yield examine
    own.world.reset_limits()


def client(own: Sandbox) -> bigquery.Client:
    return connect(Settings.from_env({"SANDBOX_URL": own.address})).bigquery


@contextmanager
def without(own: Sandbox, table: str, *fields: str, **instead: Any) -> Iterator[None]:
    """A table gone, or made anew without some columns or its partitions; put back afterwards."""
    doors = client(own)
    before = doors.get_table(table)
    doors.delete_table(table)
    if fields or instead:
        schema = [field for field in before.schema if field.name not in fields] + instead.get("more", [])
        doors.create_table(bigquery.Table(before.reference, schema))
    try:
        yield
    finally:
        doors.delete_table(table, not_found_ok=True)
        again = bigquery.Table(before.reference, before.schema)
        again.time_partitioning = before.time_partitioning
        doors.create_table(again)


def worst(found: dict[str, Finding]) -> set[str]:
    return {about for about, finding in found.items() if finding.health is not Health.OK}


def test_on_a_healthy_desk_every_finding_is_well_and_nothing_is_written(own, look):
    before = dict(own.world.meter.calls)
    found = look()
    assert worst(found) == set(), found
    assert len(found) >= 21
    asked = {call for call, times in own.world.meter.calls.items() if times != before.get(call, 0)}
    assert not {call for call in asked if any(w in call.lower() for w in ("insert", "patch", "delete", "update"))} - {
        "bigquery.JobService.insertJob"
    }
    assert "ours: it re-runs chosen players" in found["coordinator"].sentence


def test_a_bytes_limit_that_stops_our_questions_is_said_with_the_command_that_raises_it(look):
    found = look(QUERY_LIMIT_MIB="5")
    assert found["warehouse"].health is Health.WARNING
    assert "10 of 5 MiB allowed" in found["warehouse"].sentence
    assert found["warehouse"].repair.endswith("QUERY_LIMIT_MIB=1024")


def test_the_customers_shape_works_and_what_it_costs_is_said(own, look):
    """Unpartitioned, unclustered, with columns nobody here knows, NULLs allowed, optional tables missing, their coordinator."""
    more = [bigquery.SchemaField("features_snapshot", "STRING"), bigquery.SchemaField("build_commit_sha", "STRING")]
    optional = "nba_predictions.prediction_worker_runs"
    with (
        serve(lambda *_: (200, THEIRS)) as theirs,
        without(own, PREDICTIONS, "line_source_api", more=more),
        without(own, optional),
    ):
        found = look(COORDINATOR_URL=theirs)
    assert worst(found) == {PREDICTIONS, optional}
    assert {found[about].health for about in worst(found)} == {Health.WARNING}
    assert "reads the whole table" in found[PREDICTIONS].sentence
    assert "time_partitioning_field=game_date" in found[PREDICTIONS].repair
    assert "from the logs alone" in found[optional].sentence
    assert "always the whole date" in found["coordinator"].sentence


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (PREDICTIONS, "coverage, missing players and every proof need it"),
        ("nba_analytics.upcoming_player_game_context", "nobody knows who is eligible"),
        ("prediction_on_call.actions", "no action is carried out"),
    ],
)
def test_a_table_that_is_missing_is_critical_and_says_what_is_lost(own, look, table, says):
    with without(own, table):
        found = look()[table]
    assert (found.health, says in found.sentence, bool(found.repair)) == (Health.CRITICAL, True, True)


def test_our_own_missing_table_is_repaired_by_the_script_that_makes_it(own, look):
    with without(own, "prediction_on_call.batches"):
        assert "deploy/apply.sh --do" in look()["prediction_on_call.batches"].repair


def test_a_missing_column_is_named_with_the_command_that_adds_it(own, look):
    with without(own, PREDICTIONS, "superseded"):
        found = look()[PREDICTIONS]
    assert "has no column superseded" in found.sentence
    assert "ADD COLUMN IF NOT EXISTS superseded BOOL" in found.repair


@pytest.mark.parametrize(
    ("fault", "about", "health"),
    [
        (Fault("bigquery", "status", status=403, message="Access Denied: User may not"), "warehouse", Health.CRITICAL),
        (Fault("bigquery", "status", "getTable", status=403, message="Access Denied"), PREDICTIONS, Health.CRITICAL),
        (Fault("bigquery", "status", "listJobs", status=403, message="Access Denied"), "job history", Health.WARNING),
        (Fault("scheduler", "status", status=403), "scheduler", Health.CRITICAL),
        (Fault("bigquery", "status", "testIam", status=403), "acting identity", Health.CRITICAL),
        (Fault("logging", "status", status=403), "logs", Health.CRITICAL),
        (Fault("run", "status", status=403), "prediction-worker", Health.CRITICAL),
        (Fault("run", "status", status=400, message="nonsense"), "prediction-worker", Health.UNKNOWN),
    ],
)
def test_a_door_that_is_shut_is_told_and_the_others_are_still_looked_at(own, look, fault, about, health):
    own.world.faults.set(fault)
    found = look()
    assert found[about].health is health, found[about]
    if health is not Health.UNKNOWN:
        assert found[about].repair
    assert "…" not in found[about].repair, "a command is one that can be pasted"
    assert [finding for finding in found.values() if finding.health is Health.OK]


@pytest.mark.parametrize(
    ("column", "kind", "health"),
    [("game_date", "STRING", Health.CRITICAL), ("created_at", "DATETIME", Health.CRITICAL)],
)
def test_a_column_of_another_kind_is_named(own, look, column, kind, health):
    with without(own, PREDICTIONS, column, more=[bigquery.SchemaField(column, kind)]):
        found = look()[PREDICTIONS]
    assert found.health is health
    assert f"{column} is {kind}, not" in found.sentence
    assert found.repair.startswith("bq show --schema")


def test_a_line_kept_as_a_float_is_no_fault_because_every_question_casts_it(own, look):
    field = bigquery.SchemaField("current_points_line", "FLOAT64")
    with without(own, PREDICTIONS, "current_points_line", more=[field]):
        assert "not partitioned" in look()[PREDICTIONS].sentence


@pytest.mark.parametrize(("state", "verb"), [("PAUSED", "resume"), ("DISABLED", "resume"), ("gone", "list")])
def test_a_scheduler_entry_that_starts_nothing_is_noticed(own, look, state, verb):
    jobs, name = own.world.jobs, "same-day-predictions"
    kept = [dict(job) for job in jobs]
    jobs[:] = [j for j in kept if state != "gone" or not j["name"].endswith(name)]
    for job in jobs:
        if job["name"].endswith(name):
            job["state"] = state
    try:
        found = look()
    finally:
        jobs[:] = kept
    assert found[name].health is Health.WARNING
    assert found[name].repair.startswith(f"gcloud scheduler jobs {verb}")
    assert found["overnight-predictions"].health is Health.OK


@pytest.mark.parametrize(
    ("permission", "says"),
    [("bigquery.tables.updateData", "nothing can be consolidated"), ("run.services.update", "cannot be narrowed")],
)
def test_an_identity_that_may_not_act_is_noticed_before_somebody_presses(own, look, permission, says):
    own.world.withheld.add(permission)
    found = look()["acting identity"]
    assert (found.health, says in found.sentence) == (Health.CRITICAL, True)
    assert "deploy/apply.sh --do" in found.repair


def test_a_reading_identity_that_could_change_something_is_too_wide(own, look):
    acts = "on-call-act@nba-props-platform.iam.gserviceaccount.com"
    wide = look(ACTING_ACCOUNT=acts)
    assert wide["reading identity"].health is Health.WARNING
    assert PREDICTIONS in wide["reading identity"].sentence
    own.world.withheld |= {"bigquery.tables.updateData", "run.services.update"}
    assert look(ACTING_ACCOUNT=acts)["reading identity"].health is Health.OK


def test_logs_whose_lines_the_desk_does_not_know_are_noticed(own, look):
    kept = own.world.logs._entries[:]
    labels = {"service_name": "prediction-worker"}
    own.world.logs.add(
        [
            {"textPayload": f"GET /{n} 200", "resource": {"type": "cloud_run_revision", "labels": labels}}
            for n in range(200)
        ]
    )
    try:
        found = look()["log of prediction-worker"]
    finally:
        own.world.logs._entries[:] = kept
    assert found.health is Health.WARNING
    assert "0 of a shape the desk knows" in found.sentence


def test_another_project_is_noticed(look):
    found = look(GOOGLE_CLOUD_PROJECT="another-project")
    assert found[PREDICTIONS].health is not Health.OK
    assert found["prediction-worker"].health is Health.CRITICAL


def test_a_service_of_another_name_or_region_is_noticed(look):
    found = look(WORKER_SERVICE="predictor")
    assert found["predictor"].health is Health.CRITICAL
    assert "WORKER_SERVICE" in found["predictor"].repair
    assert found["log of predictor"].health is Health.WARNING


def test_a_revision_that_does_not_serve_is_noticed(own, look):
    service = next(s for n, s in own.world.run.services.items() if n.endswith("/prediction-worker"))
    before = service["latestCreatedRevision"]
    service["latestCreatedRevision"] = before + "-broken"
    try:
        found = look()["prediction-worker"]
    finally:
        service["latestCreatedRevision"] = before
    assert found.health is Health.WARNING
    assert "did not become ready" in found.sentence
    assert found.repair.startswith("gcloud run revisions describe")


@pytest.mark.parametrize("answer", [(200, b"<html>"), (500, b"{}"), (200, b"[]")])
def test_a_coordinator_that_answers_nonsense_is_noticed(look, answer):
    with serve(lambda *_: answer) as address:
        found = look(COORDINATOR_URL=address)["coordinator"]
    assert found.health is Health.CRITICAL
    assert "COORDINATOR_URL" in found.repair


def test_no_coordinator_at_all_is_noticed_and_says_what_still_works(look):
    found = look(COORDINATOR_URL="http://127.0.0.1:9")["coordinator"]
    assert found.health is Health.CRITICAL
    assert "not started from here" in found.sentence


def test_a_sign_in_that_makes_nobody_an_operator_is_noticed(look):
    assert look(IAP_AUDIENCE="/projects/1/x")["sign-in"].health is Health.WARNING
    assert look(IAP_AUDIENCE="/projects/1/x", OPERATORS="nora@example.com")["sign-in"].health is Health.OK


def test_the_worst_is_printed_first_with_its_repair_below(own, look):
    cloud = connect(Settings.from_env({"SANDBOX_URL": own.address, "COORDINATOR_URL": "http://127.0.0.1:9"}))
    lines = as_text(read_examination(cloud)).splitlines()
    assert lines[0].startswith("CRITICAL")
    assert lines[1].strip().startswith("→ gcloud")


def test_nothing_raises_when_nothing_can_be_reached(own):
    cloud = connect(Settings.from_env({"SANDBOX_URL": own.address}))
    own.world.faults.set(*(Fault(api, "status", status=403) for api in ("bigquery", "run", "logging")))
    try:
        found = read_examination(replace(cloud))
    finally:
        own.world.reset_limits()
    assert found.health is Health.CRITICAL
    assert isinstance(cloud, Cloud)
