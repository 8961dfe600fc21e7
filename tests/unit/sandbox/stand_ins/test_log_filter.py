"""The filters that the handoff's commands and the pages send to Logging."""

from __future__ import annotations

import pytest

from services.sandbox.stand_ins.log_filter import ALL_TIME, FilterError, parse, time_bounds

ENTRY = {
    "timestamp": "2025-12-29T19:47:51.100000Z",
    "severity": "DEFAULT",
    "insertId": "a1",
    "logName": "projects/nba-props-platform/logs/run.googleapis.com%2Fstderr",
    "textPayload": "2025-12-29 19:47:51 - worker - ERROR - Error writing: Too many DML statements outstanding",
    "resource": {"type": "cloud_run_revision", "labels": {"service_name": "prediction-worker"}},
    "labels": {"instanceId": "00f", "address": "10.1.2.3"},
}
STRUCTURED = {**ENTRY, "severity": "ERROR", "jsonPayload": {"message": "Staging write", "rows": 25, "ok": True}}
del STRUCTURED["textPayload"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        'resource.type="cloud_run_revision" AND resource.labels.service_name="prediction-worker" AND textPayload=~"DML"',
        'resource.type = "cloud_run_revision"\nresource.labels.service_name = "prediction-worker"',
        'resource.labels.service_name=~"prediction"',
        'textPayload:"too many dml"',
        'NOT textPayload:"consolidation"',
        '-textPayload:"consolidation"',
        'textPayload!~"Consolidation"',
        'timestamp>="2025-12-29T19:00:00Z" AND timestamp<"2025-12-29T20:00:00Z"',
        'timestamp>="2025-12-29"',
        "timestamp>=2025-12-29T19:00:00Z",
        "severity<INFO",
        "severity=default",
        'severity=("DEFAULT" OR "ERROR")',
        'logName="projects/nba-props-platform/logs/run.googleapis.com%2Fstderr"',
        'labels.instanceId="00f"',
        'labels."instanceId"="00f"',
        'resource.type="CLOUD_RUN_REVISION"',
        '"outstanding"',
        'textPayload:"DML" -- written too often\nAND severity=DEFAULT',
        'textPayload:" - ERROR - " OR textPayload:"--" -- the last word',
        'log_id("run.googleapis.com/stderr")',
        'SEARCH("dml statements")',
        'SEARCH(textPayload, "dml") AND NOT SEARCH(textPayload, "dm")',
        "sample(insertId, 1.0)",
        "NOT sample(insertId, 0)",
        'ip_in_net(labels.address, "10.0.0.0/8")',
        "insertId:*",
        'insertId:("zz" OR *)',
        'textPayload:("worker" AND "too MANY dml")',
        'NOT textPayload:("worker" AND "consolidation")',
        'textPayload:("consolidation" OR "OUTSTANDING")',
    ],
)
def test_the_filter_matches_the_entry(text):
    assert parse(text)(ENTRY)


@pytest.mark.parametrize(
    "text",
    [
        "severity>=ERROR",
        'textPayload=~"dml"',
        'textPayload:"Consolidation"',
        'resource.labels.service_name!="prediction-worker"',
        'timestamp>"2025-12-30T00:00:00Z"',
        'jsonPayload.message:"x"',
        "NOT (severity=DEFAULT OR severity=ERROR)",
    ],
)
def test_the_filter_does_not_match_the_entry(text):
    assert not parse(text)(ENTRY)


def test_or_binds_closer_than_and_as_logging_has_it():
    """`a OR b AND c` is `(a OR b) AND c`."""
    assert not parse('severity=DEFAULT OR severity=ERROR AND textPayload:"nothing of it"')(ENTRY)


def test_numbers_are_compared_as_numbers():
    assert parse("jsonPayload.rows>9")(STRUCTURED)
    assert parse("jsonPayload.rows=25")(STRUCTURED)
    assert parse("jsonPayload.ok=true")(STRUCTURED)
    assert not parse("jsonPayload.rows>100")(STRUCTURED)


@pytest.mark.parametrize(
    "text",
    [
        'textPayload="',
        "(severity=ERROR",
        "severity=",
        'textPayload=~"("',
        'timestamp>="yesterday"',
        ") AND",
        "AND severity=ERROR",
        "severity=ERROR AND OR",
        "insertId = abc:def",
        "textPayload=~DML",
        'textPayload=~"a(?!b)"',
        "textPayload:'DML'",
        'near(textPayload, "DML")',
        "sample(insertId, 2)",
        'ip_in_net(labels.address, "no network")',
        "SEARCH(DML)",
        "severity=(ERROR (INFO))",
        "(" * 5_000 + ")" * 5_000,
    ],
)
def test_an_invalid_filter_is_refused(text):
    with pytest.raises(FilterError):
        parse(text)


def test_a_filter_of_more_than_20_000_characters_is_refused():
    with pytest.raises(FilterError):
        parse('textPayload:"' + "x" * 20_000 + '"')


TIME_RANGE = 'timestamp>="2025-12-29T05:00:00Z" AND timestamp<"2025-12-30T05:00:00Z"'


@pytest.mark.parametrize("text", [TIME_RANGE, f'resource.type=("a" OR "b") AND ("x" OR "y") AND {TIME_RANGE}'])
def test_the_time_range_of_a_filter_is_extracted(text):
    assert [f"{instant:%d %H}" for instant in time_bounds(text)] == ["29 05", "30 05"]


@pytest.mark.parametrize(
    "text", ["", "severity=ERROR", f"({TIME_RANGE}) OR severity=ERROR", f"NOT {TIME_RANGE}", f"x OR {TIME_RANGE}"]
)
def test_a_filter_with_an_alternative_to_its_times_has_no_time_range(text):
    assert time_bounds(text) == ALL_TIME


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('jsonPayload.message:("nothing" OR "staging WRITE")', True),
        ('(textPayload:("x" OR "y") OR jsonPayload.message:("x" OR "Staging write"))', True),
        ('jsonPayload.message:("staging" AND "write")', True),
        ('jsonPayload.message:("staging" AND "nothing")', False),
        ('jsonPayload.message:("OR" OR "x")', False),
        ('textPayload:"staging write"', False),
        ('NOT jsonPayload.message:"staging write"', False),
    ],
)
def test_message_fields_are_searched_with_lists_and_parentheses(text, expected):
    assert parse(text)(STRUCTURED) is expected


def test_a_list_that_mixes_and_and_or_is_refused():
    with pytest.raises(FilterError):
        parse('textPayload:("a" AND "b" OR "c")')
