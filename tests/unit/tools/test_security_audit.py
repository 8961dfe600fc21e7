"""A known vulnerability in a pinned package fails the checks; an unreachable advisory service is reported and does not."""

from __future__ import annotations

import json

import pytest

from tests.tools.security_audit import evaluate_audit


def audit_report(*packages: dict) -> str:
    return json.dumps({"dependencies": list(packages)})


def test_a_known_vulnerability_fails_and_is_named():
    code, sentence = evaluate_audit(
        1, audit_report({"name": "left", "version": "1.0", "vulns": [{"id": "PYSEC-1"}]}), ""
    )
    assert code == 1
    assert "left 1.0: PYSEC-1" in sentence


def test_a_clean_audit_passes_and_reports_the_count():
    report = audit_report({"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "not found"})
    assert evaluate_audit(0, report, "") == (
        0,
        "No known vulnerability in 1 pinned packages; 1 could not be looked up.",
    )


@pytest.mark.parametrize("out", ["", "<html>", audit_report({"name": "a", "skip_reason": "could not be reached"})])
def test_an_unreachable_advisory_service_is_reported_and_never_called_safe(out):
    code, sentence = evaluate_audit(1, out, "ConnectionError: no route")
    assert code == 0
    assert "not audited" in sentence


def test_a_failure_of_the_audit_itself_fails():
    assert evaluate_audit(2, audit_report({"name": "a", "version": "1", "vulns": []}), "crashed")[0] == 1
