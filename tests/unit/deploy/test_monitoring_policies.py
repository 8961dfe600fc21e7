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
    METRICS,
    POLICIES,
    entries_of,
    find_policy,
    first_firing,
    make_entry,
    make_json_entry,
    referenced_metric,
)
from tests.support.paths import ROOT
from tests.unit.telemetry.test_log_phrases import WRITE_FAILURES

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
    ("dml_errors", log_and_job_history.WORKER, f"Error writing to BigQuery: {ERROR}"),
    ("dml_errors", log_and_job_history.WORKER, f"Error writing to staging: {ERROR}"),
    ("dml_errors", log_and_job_history.WORKER, f"Staging write failed: Invalid request writing to staging: {ERROR}"),
    ("consolidation_failures", log_and_job_history.COORDINATOR, "Consolidation FAILED: no rows (batch=b)"),
    ("consolidation_failures", log_and_job_history.COORDINATOR, "Consolidation failed (non-fatal): 500"),
    ("consolidation_failures", log_and_job_history.COORDINATOR, "❌ Consolidation failed: no rows"),
    ("consolidation_failures", log_and_job_history.COORDINATOR, "Consolidation EXCEPTION: timeout"),
    (
        "write_latency_ms",
        log_and_job_history.WORKER,
        "Staging write complete: 25 rows to t in 1612ms (batch=b, worker=w)",
    ),
    (
        "write_latency_ms",
        log_and_job_history.WORKER,
        "Staging write complete: 25 rows to t in 1447.5ms (batch=b, worker=w)",
    ),
    (
        "watchdog_looks",
        "prediction-watchdog",
        "Watchdog looked: 0 incidents, 17 rules not firing, 0 unknown, 0 changes",
    ),
    (
        "coverage_alerts",
        "prediction-watchdog",
        "ALERT opened critical writes-2025-12-29: Coverage below threshold: 68 of 158",
    ),
]


@pytest.mark.parametrize(("metric", "service", "message"), EXPECTED_LINES)
def test_a_metric_matches_the_real_log_lines_as_text_and_json(metric, service, message):
    counts = log_filter.parse(METRICS[metric]["filter"])
    json_counts = counts
    if metric == "write_latency_ms":  # a number is extracted from one field, so it has a metric per kind of payload
        json_counts = log_filter.parse(METRICS["write_latency_json_ms"]["filter"])
    text_entry, json_entry = make_entry(service, message), log_and_job_history.json_entry(service, AT, "ERROR", message)
    assert (counts(text_entry), json_counts(json_entry)) == (True, True)
    if metric == "write_latency_ms":
        assert (json_counts(text_entry), counts(json_entry)) == (False, False), "a write is counted once"
    calm = "Batch b complete! 158/158 players, status=success"
    assert not counts(make_entry(service, calm))
    assert not json_counts(log_and_job_history.json_entry(service, AT, "INFO", calm))


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda m: m["name"])
def test_a_metric_searches_the_message_alone_and_never_a_stack_trace(metric):
    """A phrase without a field would match source lines, function names and tracebacks of our own entries."""
    phrases = [message for name, _, message in EXPECTED_LINES if name == metric["name"]]
    counts = log_filter.parse(metric["filter"])
    for service in (log_and_job_history.WORKER, log_and_job_history.COORDINATOR, "prediction-watchdog"):
        for phrase in phrases:
            assert not counts(
                log_and_job_history.json_entry(service, AT, "ERROR", "Batch b stopped", stack_trace=phrase)
            )


def test_the_latency_metrics_extract_the_milliseconds():
    cases = [
        (service, message, milliseconds)
        for (name, service, message), milliseconds in zip(
            [line for line in EXPECTED_LINES if line[0] == "write_latency_ms"], ("1612", "1447.5"), strict=True
        )
    ]
    for service, message, expected in cases:
        check_extraction(service, message, expected)


def check_extraction(service, message, expected):
    for name, field, text in (
        ("write_latency_ms", "textPayload", make_entry(service, message)["textPayload"]),
        ("write_latency_json_ms", "jsonPayload.message", message),
    ):
        extractor = re.fullmatch(r'REGEXP_EXTRACT\(([\w.]+), "(.+)"\)', METRICS[name]["valueExtractor"])
        assert extractor is not None
        extracted_field, pattern = extractor.groups()
        milliseconds = re.search(pattern, text)
        assert milliseconds is not None
        assert (extracted_field, milliseconds[1]) == (field, expected)


@pytest.mark.parametrize(
    ("metric", "lines"),
    [
        *(("dml_errors", lines) for lines, _ in WRITE_FAILURES),
        ("consolidation_failures", ("Invalid MERGE query: 400", "❌ Consolidation failed: Invalid MERGE query: 400")),
    ],
)
def test_one_failure_is_counted_once_on_whichever_streams_its_lines_are(metric, lines):
    counts = log_filter.parse(METRICS[metric]["filter"])
    service = log_and_job_history.WORKER if metric == "dml_errors" else log_and_job_history.COORDINATOR
    entries = [e for line in lines for e in log_and_job_history.text_entries(service, AT, "x", "ERROR", line, 2)]
    assert sum(map(counts, entries)) == 1
    assert sum(counts({**e, "logName": "run.googleapis.com%2Fstderr"}) for e in entries[::2]) == 1


def test_a_failure_that_is_only_printed_is_counted():
    printed = {**make_entry(log_and_job_history.COORDINATOR, ""), "textPayload": "❌ Consolidation FAILED: 400"}
    printed["logName"] = "projects/p/logs/run.googleapis.com%2Fstdout"
    assert log_filter.parse(METRICS["consolidation_failures"]["filter"])(printed)


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
        assert referenced_metric(condition_spec) in METRICS
        assert int(condition_spec["duration"].removesuffix("s")) % 60 == 0
        if kind == "conditionAbsent":
            assert int(condition_spec["duration"].removesuffix("s")) >= 120


def test_every_metric_has_a_policy_and_the_watchdog_an_absence_condition():
    used = {
        referenced_metric(next(iter(v for k, v in c.items() if k != "displayName")))
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
        as_entry = make_entry if name == "write_latency_ms" else make_json_entry
        assert any(counts(as_entry(service, message)) for service, message in written), name
