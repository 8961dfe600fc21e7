"""The metrics and alert policies of deploy/monitoring, and when each would fire on given log entries."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import yaml

from services.sandbox.scenarios import log_and_job_history
from services.sandbox.scenarios.december import build_seed
from services.sandbox.stand_ins import log_filter
from tests.support.paths import ROOT

MONITORING_DIR = ROOT / "deploy" / "monitoring"


METRICS = {m["name"]: m for m in map(yaml.safe_load, map(Path.read_text, sorted(MONITORING_DIR.glob("metric-*.yaml"))))}


POLICIES = list(map(yaml.safe_load, map(Path.read_text, sorted(MONITORING_DIR.glob("policy-*.yaml")))))


METRIC_REFERENCE = re.compile(
    r'resource\.type="cloud_run_(?:revision|job)" AND metric\.type="logging\.googleapis\.com/user/(\w+)"'
)


AT = datetime.fromisoformat("2025-12-29T19:50:00+00:00")


def referenced_metric(condition_spec):
    """The name of the log-based metric that a condition's filter reads; fails when the filter has another form."""
    match = METRIC_REFERENCE.fullmatch(condition_spec["filter"])
    assert match, condition_spec["filter"]
    return match[1]


def make_entry(service, message):
    return next(log_and_job_history.text_entries(service, AT, "x", "ERROR", message))


def make_json_entry(service, message):
    """The same message as our services write it."""
    return log_and_job_history.json_entry(service, AT, "ERROR", message, logger="x")


def first_firing(policy, entries, start, end):
    """When a policy would first fire on log entries: the earliest of its conditions."""
    fired = [first_firing_of(condition, entries, start, end) for condition in policy["conditions"]]
    return min(filter(None, fired), default=None)


def first_firing_of(condition, entries, start, end):
    """When a condition first holds: its metric counted minute by minute, as Cloud Monitoring does it."""
    [condition_spec] = [spec for key, spec in condition.items() if key != "displayName"]
    counts = log_filter.parse(METRICS[referenced_metric(condition_spec)]["filter"])
    times = sorted(datetime.fromisoformat(e["timestamp"]) for e in entries if counts(e))
    if "thresholdValue" in condition_spec:
        minutes = Counter((instant - start) // timedelta(minutes=1) for instant in times if start <= instant < end)
        over = [minute for minute, count in sorted(minutes.items()) if count > condition_spec["thresholdValue"]]
        return start + timedelta(minutes=over[0] + 1) if over else None
    silent = timedelta(seconds=int(condition_spec["duration"].removesuffix("s")))
    in_window = [instant for instant in times if start <= instant < end]
    silence_ends = [
        instant + silent
        for instant, following in zip(in_window, [*in_window[1:], end], strict=True)
        if following - instant >= silent
    ]
    return silence_ends[0] if silence_ends else None


def find_policy(name_part):
    return next(p for p in POLICIES if name_part in p["displayName"])


def entries_of(day):
    return [e for e in build_seed().log_entries if e["timestamp"].startswith(day)]
