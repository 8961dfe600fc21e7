"""The policies in deploy/: in the API's own fields, matching the lines that are really written, and firing on 29 December."""

from __future__ import annotations

import ast
import re
from datetime import datetime, timedelta

import pytest

from services.sandbox.scenarios import log_and_job_history
from services.sandbox.stand_ins import log_filter
from tests.support.monitoring_policies import (
    AT,
    METRIC_REFERENCE,
    METRICS,
    POLICIES,
    entries_of,
    find_policy,
    first_firing,
    make_entry,
)
from tests.support.paths import ROOT

METRIC_FIELDS = {
    "name",
    "description",
    "filter",
    "metricDescriptor",
    "valueExtractor",
    "bucketOptions",
    "labelExtractors",
}
POLICY_FIELDS = {"displayName", "combiner", "conditions", "alertStrategy", "documentation", "userLabels", "enabled"}
THRESHOLD = {"filter", "aggregations", "comparison", "thresholdValue", "duration", "trigger"}
ERROR = "400 Resources exceeded during query execution: Too many DML statements outstanding"

# metric, service, line: as the customer's services write them, ours, and the watchdog's
EXPECTED_LINES = [
    ("dml_errors", log_and_job_history.WORKER, f"Error writing to BigQuery for lebronjames: {ERROR}"),
    ("dml_errors", log_and_job_history.WORKER, f"STAGING WRITE FAILED for lebronjames: {ERROR} (batch=b, worker=w)"),
    ("consolidation_failures", log_and_job_history.COORDINATOR, "Consolidation FAILED: no rows (batch=b)"),
    ("consolidation_failures", log_and_job_history.COORDINATOR, "❌ Consolidation failed: no rows"),
    ("consolidation_failures", log_and_job_history.COORDINATOR, "Consolidation EXCEPTION: timeout"),
    (
        "write_latency_ms",
        log_and_job_history.WORKER,
        "Staging write complete: 25 rows to t in 1612ms (batch=b, worker=w)",
    ),
    ("watchdog_looks", "prediction-watchdog", "Watchdog looked: 0 incidents, 17 rules quiet, 0 unknown, 0 changes"),
    (
        "coverage_alerts",
        "prediction-watchdog",
        "ALERT opened critical writes-2025-12-29: Players are missing: 68 of 158",
    ),
]


@pytest.mark.parametrize(("metric", "service", "message"), EXPECTED_LINES)
def test_a_metric_matches_the_real_log_lines_as_text_and_json(metric, service, message):
    counts = log_filter.parse(METRICS[metric]["filter"])
    assert counts(make_entry(service, message))
    if metric != "write_latency_ms":  # its number is taken from the text
        assert counts(log_and_job_history.json_entry(service, AT, "ERROR", message))
    calm = make_entry(service, "Batch b complete! 158/158 players, status=success")
    assert not counts(calm)


def test_the_heartbeat_metric_matches_a_cloud_run_job():
    job_entry = make_entry("prediction-watchdog", "Watchdog looked: 0 incidents")
    job_entry["resource"] = {"type": "cloud_run_job", "labels": {"job_name": "prediction-watchdog"}}
    assert log_filter.parse(METRICS["watchdog_looks"]["filter"])(job_entry)


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda m: m["name"])
def test_a_metric_has_the_fields_of_the_api(metric):
    assert set(metric) <= METRIC_FIELDS
    assert metric["metricDescriptor"]["metricKind"] == "DELTA"
    distribution = metric["metricDescriptor"]["valueType"] == "DISTRIBUTION"
    assert distribution == ("valueExtractor" in metric)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p["displayName"])
def test_a_policy_has_api_fields_and_a_metric_of_this_repo(policy):
    assert set(policy) <= POLICY_FIELDS
    assert policy["combiner"] == "OR"
    for condition in policy["conditions"]:
        [kind] = set(condition) - {"displayName"}
        condition_spec = condition[kind]
        assert kind in ("conditionThreshold", "conditionAbsent")
        assert set(condition_spec) <= (
            THRESHOLD if kind == "conditionThreshold" else {"filter", "aggregations", "duration", "trigger"}
        )
        assert METRIC_REFERENCE.fullmatch(condition_spec["filter"])[1] in METRICS
        assert int(condition_spec["duration"].removesuffix("s")) % 60 == 0
        if kind == "conditionAbsent":
            assert int(condition_spec["duration"].removesuffix("s")) >= 120


def test_every_metric_has_a_policy_and_the_watchdog_an_absence_condition():
    used = {
        METRIC_REFERENCE.fullmatch(next(iter(v for k, v in c.items() if k != "displayName"))["filter"])[1]
        for p in POLICIES
        for c in p["conditions"]
    }
    assert used == set(METRICS)
    assert [p["displayName"] for p in POLICIES if "conditionAbsent" in p["conditions"][0]] == [
        "Predictions - nobody watches"
    ]


NOON = datetime.fromisoformat("2025-12-29T17:00:00+00:00")


def test_the_rejections_of_29_december_fire_within_two_minutes_and_a_healthy_night_never():
    fired = first_firing(find_policy("rejected"), entries_of("2025-12-29"), NOON, NOON + timedelta(hours=8))
    first = datetime.fromisoformat("2025-12-29T19:47:51+00:00")
    assert first < fired <= first + timedelta(minutes=2)
    start = datetime.fromisoformat("2025-12-23T12:00:00+00:00")
    for candidate in POLICIES:
        if "conditionThreshold" in candidate["conditions"][0]:
            assert first_firing(candidate, entries_of("2025-12-23"), start, start + timedelta(hours=12)) is None, (
                candidate["displayName"]
            )


def test_a_missing_heartbeat_fires_the_absence_policy():
    heartbeat = [make_entry("prediction-on-call-watchdog", "Watchdog looked: 0 incidents")]
    heartbeats = [
        {**heartbeat[0], "timestamp": (AT + timedelta(minutes=5 * n)).isoformat().replace("+00:00", "Z")}
        for n in range(12)
    ]
    absence_policy = find_policy("nobody watches")
    assert first_firing(absence_policy, heartbeats, AT, AT + timedelta(minutes=60)) is None
    assert first_firing(absence_policy, heartbeats, AT, AT + timedelta(minutes=70)) == AT + timedelta(minutes=65)


SERVICE_BY_ROOM = {
    "worker": log_and_job_history.WORKER,
    "coordinator": log_and_job_history.COORDINATOR,
    "alerts": "prediction-on-call-watchdog",
}


def test_our_services_write_a_line_for_each_metric():
    """The lines are taken from the source: who rewords one without the metric finds out here."""
    root = ROOT / "services"
    written = [
        (SERVICE_BY_ROOM[folder], re.sub(r"%[-.\d]*[a-z]", "1", node.value))
        for folder in SERVICE_BY_ROOM
        for path in root.rglob(f"{folder}/*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    for name in set(METRICS) - {"coverage_alerts"}:  # put together from an event's words: see the test above
        counts = log_filter.parse(METRICS[name]["filter"])
        assert any(counts(make_entry(service, message)) for service, message in written), name
