"""What Cloud Run's agent makes of a service's stdout."""

from __future__ import annotations

import json

import pytest

from services.sandbox.stand_ins.cloud_logging import entries_from_stdout


def test_a_json_line_becomes_a_json_payload_without_its_special_fields():
    line = {
        "message": "Batch b1 stopped",
        "logger": "coordinator",
        "severity": "ERROR",
        "time": "2025-12-30T06:45:00.5Z",
        "logging.googleapis.com/labels": {"python_logger": "coordinator"},
        "logging.googleapis.com/trace": "projects/p/traces/t",
        "logging.googleapis.com/spanId": "",
        "logging.googleapis.com/trace_sampled": True,
        "logging.googleapis.com/sourceLocation": {"file": "a.py", "line": 3, "function": "f"},
        "httpRequest": {},
    }
    assert list(entries_from_stdout(json.dumps(line) + "\n")) == [
        {
            "severity": "ERROR",
            "timestamp": "2025-12-30T06:45:00.500Z",
            "labels": {"python_logger": "coordinator"},
            "trace": "projects/p/traces/t",
            "traceSampled": True,
            "sourceLocation": {"file": "a.py", "line": "3", "function": "f"},
            "jsonPayload": {"message": "Batch b1 stopped", "logger": "coordinator"},
        }
    ]


@pytest.mark.parametrize("line", ["plain text", "[1, 2]", '"text"', "3", "{not json", '{"cut": '])
def test_what_is_no_json_object_stays_text(line):
    assert list(entries_from_stdout(f"{line}\n")) == [{"textPayload": line}]


def test_every_line_is_an_entry_and_only_a_newline_ends_one():
    texts = [entry["textPayload"] for entry in entries_from_stdout("one\n\ntwo\rthree\u2028four\nfive")]
    assert texts == ["one", "two\rthree\u2028four", "five"]


def test_an_unknown_severity_is_default_and_a_lone_message_stays_json():
    assert list(entries_from_stdout('{"severity": "loud", "message": "m"}')) == [
        {"severity": "DEFAULT", "jsonPayload": {"message": "m"}}
    ]
