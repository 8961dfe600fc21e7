"""The policies in deploy/: in the API's own fields, matching the lines that are really written, and firing on 29 December."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml

from services.sandbox import log_filter
from services.sandbox.scenarios import traces
from services.sandbox.scenarios.build import build

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"
METRICS = {m["name"]: m for m in map(yaml.safe_load, map(Path.read_text, sorted(FOLDER.glob("metric-*.yaml"))))}
POLICIES = list(map(yaml.safe_load, map(Path.read_text, sorted(FOLDER.glob("policy-*.yaml")))))
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
USED = re.compile(r'resource\.type="cloud_run_(?:revision|job)" AND metric\.type="logging\.googleapis\.com/user/(\w+)"')
AT = datetime.fromisoformat("2025-12-29T19:50:00+00:00")
ERROR = "400 Resources exceeded during query execution: Too many DML statements outstanding"

# metric, service, line: as the customer's services write them, ours, and the watchdog's
LINES = [
    ("dml_errors", traces.WORKER, f"Error writing to BigQuery for lebronjames: {ERROR}"),
    ("dml_errors", traces.WORKER, f"STAGING WRITE FAILED for lebronjames: {ERROR} (batch=b, worker=w)"),
    ("consolidation_failures", traces.COORDINATOR, "Consolidation FAILED: no rows (batch=b)"),
    ("consolidation_failures", traces.COORDINATOR, "❌ Consolidation failed: no rows"),
    ("consolidation_failures", traces.COORDINATOR, "Consolidation EXCEPTION: timeout"),
    ("write_latency_ms", traces.WORKER, "Staging write complete: 25 rows to t in 1612ms (batch=b, worker=w)"),
    ("watchdog_looks", "prediction-watchdog", "Watchdog looked: 0 incidents, 17 rules quiet, 0 unknown, 0 changes"),
    (
        "coverage_alerts",
        "prediction-watchdog",
        "ALERT opened critical writes-2025-12-29: Players are missing: 68 of 158",
    ),
]


def entry(service, message):
    return next(traces.line(service, AT, "x", "ERROR", message))


@pytest.mark.parametrize(("metric", "service", "message"), LINES)
def test_a_metric_counts_the_lines_that_are_really_written_as_text_and_as_json(metric, service, message):
    counts = log_filter.parse(METRICS[metric]["filter"])
    assert counts(entry(service, message))
    if metric != "write_latency_ms":  # its number is taken from the text
        assert counts(traces.structured(service, AT, "ERROR", message))
    calm = entry(service, "Batch b complete! 158/158 players, status=success")
    assert not counts(calm)


def test_the_watchdog_counts_when_it_runs_as_a_job():
    told = entry("prediction-watchdog", "Watchdog looked: 0 incidents")
    told["resource"] = {"type": "cloud_run_job", "labels": {"job_name": "prediction-watchdog"}}
    assert log_filter.parse(METRICS["watchdog_looks"]["filter"])(told)


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda m: m["name"])
def test_a_metric_has_the_fields_of_the_api(metric):
    assert set(metric) <= METRIC_FIELDS
    assert metric["metricDescriptor"]["metricKind"] == "DELTA"
    distribution = metric["metricDescriptor"]["valueType"] == "DISTRIBUTION"
    assert distribution == ("valueExtractor" in metric)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p["displayName"])
def test_a_policy_has_the_fields_of_the_api_and_a_metric_that_is_made_here(policy):
    assert set(policy) <= POLICY_FIELDS
    assert policy["combiner"] == "OR"
    for condition in policy["conditions"]:
        [kind] = set(condition) - {"displayName"}
        about = condition[kind]
        assert kind in ("conditionThreshold", "conditionAbsent")
        assert set(about) <= (
            THRESHOLD if kind == "conditionThreshold" else {"filter", "aggregations", "duration", "trigger"}
        )
        assert USED.fullmatch(about["filter"])[1] in METRICS
        assert int(about["duration"].removesuffix("s")) % 60 == 0
        if kind == "conditionAbsent":
            assert int(about["duration"].removesuffix("s")) >= 120


def test_every_metric_has_a_policy_and_silence_of_the_watchdog_has_an_absence():
    used = {
        USED.fullmatch(next(iter(v for k, v in c.items() if k != "displayName"))["filter"])[1]
        for p in POLICIES
        for c in p["conditions"]
    }
    assert used == set(METRICS)
    assert [p["displayName"] for p in POLICIES if "conditionAbsent" in p["conditions"][0]] == [
        "Predictions - nobody watches"
    ]


def test_the_rejections_of_29_december_fire_the_policy_within_its_first_minutes():
    counts = log_filter.parse(METRICS["dml_errors"]["filter"])
    threshold = next(p for p in POLICIES if "rejected" in p["displayName"])["conditions"][0]["conditionThreshold"]
    hits = [e for e in build().log_entries if counts(e)]
    times = [
        datetime.fromisoformat(e["timestamp"].replace("Z", "+00:00")) for e in hits if e["timestamp"] > "2025-12-29T12"
    ]
    minutes = Counter(at.replace(second=0, microsecond=0) for at in times)
    over = [minute for minute, count in sorted(minutes.items()) if count > threshold["thresholdValue"]]
    assert over
    assert over[0] - min(times) <= timedelta(minutes=1)
