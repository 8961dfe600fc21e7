"""The policies in deploy/: in the API's own fields, matching the lines that are really written, and firing on 29 December."""

from __future__ import annotations

import ast
import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml

from services.alerts.alert_log import Alerts
from services.alerts.evaluation import judge
from services.alerts.facts import ChannelFacts, read_facts
from services.alerts.incidents import group
from services.alerts.watchdog import Look, plan_changes, say
from services.sandbox.scenarios import traces
from services.sandbox.scenarios.build import build
from services.sandbox.stand_ins import log_filter
from tests.factories import NIGHT

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


def fires(policy, entries, start, end):
    """When a policy would first fire on log entries: its metric counted minute by minute, as Cloud Monitoring does it."""
    [about] = [told for key, told in policy["conditions"][0].items() if key != "displayName"]
    counts = log_filter.parse(METRICS[USED.fullmatch(about["filter"])[1]]["filter"])
    times = sorted(datetime.fromisoformat(e["timestamp"].replace("Z", "+00:00")) for e in entries if counts(e))
    if "thresholdValue" in about:
        minutes = Counter((at - start) // timedelta(minutes=1) for at in times if start <= at < end)
        over = [minute for minute, count in sorted(minutes.items()) if count > about["thresholdValue"]]
        return start + timedelta(minutes=over[0] + 1) if over else None
    silent = timedelta(seconds=int(about["duration"].removesuffix("s")))
    seen = [at for at in times if start <= at < end]
    gaps = [at + silent for at, following in zip(seen, [*seen[1:], end], strict=True) if following - at >= silent]
    return gaps[0] if gaps else None


def policy(words):
    return next(p for p in POLICIES if words in p["displayName"])


def lines_of(day):
    return [e for e in build().log_entries if e["timestamp"].startswith(day)]


NOON = datetime.fromisoformat("2025-12-29T17:00:00+00:00")


def test_the_rejections_of_29_december_fire_their_policy_within_two_minutes_and_a_healthy_night_none():
    fired = fires(policy("rejected"), lines_of("2025-12-29"), NOON, NOON + timedelta(hours=8))
    first = datetime.fromisoformat("2025-12-29T19:47:51+00:00")
    assert first < fired <= first + timedelta(minutes=2)
    start = datetime.fromisoformat("2025-12-23T12:00:00+00:00")
    for each in POLICIES:
        if "conditionThreshold" in each["conditions"][0]:
            assert fires(each, lines_of("2025-12-23"), start, start + timedelta(hours=12)) is None, each["displayName"]


def test_what_the_watchdog_writes_of_29_december_fires_the_policy_about_missing_players(cloud, caplog):
    caplog.set_level("INFO", logger="watchdog")
    facts = read_facts(cloud, (NIGHT,), ChannelFacts(True))
    found = group(judge(facts, cloud.settings, cloud.now()))
    unknown = Alerts((), facts.nights[0].night.value.sources[0])
    planned = plan_changes(unknown, found, frozenset(), frozenset({NIGHT}), cloud.settings, cloud.now())
    say(Look(cloud.now(), (), found, planned, None))
    written = [entry("prediction-on-call-watchdog", record.getMessage()) for record in caplog.records]
    assert fires(policy("players are missing"), written, AT - timedelta(minutes=1), AT + timedelta(hours=1))


def test_a_watchdog_that_looks_every_five_minutes_is_heard_and_one_that_stops_fires_the_absence():
    looks = [entry("prediction-on-call-watchdog", "Watchdog looked: 0 incidents")]
    every = [
        {**looks[0], "timestamp": (AT + timedelta(minutes=5 * n)).isoformat().replace("+00:00", "Z")} for n in range(12)
    ]
    silence = policy("nobody watches")
    assert fires(silence, every, AT, AT + timedelta(minutes=60)) is None
    assert fires(silence, every, AT, AT + timedelta(minutes=70)) == AT + timedelta(minutes=65)


OURS = {"worker": traces.WORKER, "coordinator": traces.COORDINATOR, "alerts": "prediction-on-call-watchdog"}


def test_our_pipeline_and_our_watchdog_write_a_line_that_each_metric_counts():
    """The lines are taken from the source: who rewords one without the metric finds out here."""
    root = Path(__file__).parents[2] / "services"
    written = [
        (OURS[folder], re.sub(r"%[-.\d]*[a-z]", "1", node.value))
        for folder in OURS
        for path in root.rglob(f"{folder}/*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    for name in set(METRICS) - {"coverage_alerts"}:  # put together from an event's words: see the test above
        counts = log_filter.parse(METRICS[name]["filter"])
        assert any(counts(entry(service, words)) for service, words in written), name
