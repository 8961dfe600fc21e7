"""A known hole in a pinned package fails the checks; an advisory service that cannot be asked is told and does not."""

from __future__ import annotations

import json

import pytest

from tests.security.audit import judge


def answer(*packages: dict) -> str:
    return json.dumps({"dependencies": list(packages)})


def test_a_known_hole_fails_and_is_named():
    code, sentence = judge(1, answer({"name": "left", "version": "1.0", "vulns": [{"id": "PYSEC-1"}]}), "")
    assert code == 1
    assert "left 1.0: PYSEC-1" in sentence


def test_no_hole_passes_and_says_of_how_many():
    told = answer({"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "not found"})
    assert judge(0, told, "") == (0, "No known hole in 1 pinned packages; 1 could not be looked up.")


@pytest.mark.parametrize("out", ["", "<html>", answer({"name": "a", "skip_reason": "could not be reached"})])
def test_a_service_that_cannot_be_asked_is_told_and_never_called_safe(out):
    code, sentence = judge(1, out, "ConnectionError: no route")
    assert code == 0
    assert "not audited" in sentence


def test_a_failure_of_the_audit_itself_fails():
    assert judge(2, answer({"name": "a", "version": "1", "vulns": []}), "crashed")[0] == 1
