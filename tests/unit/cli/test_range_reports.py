"""The verification of several nights: one row each, green only where both the judgement and the batch's checks are."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from services.cli import range_reports
from services.cli.range_reports import range_verification_report
from services.core.errors import InvalidInput, SourceUnavailable
from services.core.result import Health
from services.runs.verification import VerificationCheck
from tests.support.alert_factories import BATCH, NOW, make_batch

CLIENTS: Any = SimpleNamespace(now=lambda: NOW)
FIRST, LAST = date(2025, 12, 28), date(2025, 12, 29)


def report(
    monkeypatch: pytest.MonkeyPatch,
    batch: Any,
    *checks: Any,
    batches: Any = (),
    health: Health = Health.OK,
    last: Health | None = None,
) -> Any:
    """Of two nights of this health with this newest batch, whose checks are these; an error is raised."""
    facts = SimpleNamespace(newest_batch=batch, batches=SimpleNamespace(value=batches))

    def judge(_: object, day: date) -> Any:
        found = last if last is not None and day == LAST else health
        return facts, SimpleNamespace(health=found, headline="All 158 eligible players have active predictions")

    monkeypatch.setattr(range_reports, "judge", judge)

    def verify(*_: object) -> Any:
        if isinstance(checks[0], Exception):
            raise checks[0]
        return checks

    monkeypatch.setattr(range_reports, "read_run_verification", verify)
    return range_verification_report(CLIENTS, FIRST, LAST)


OURS = make_batch(record_source="ledger")
PASSED, FAILED = (
    VerificationCheck("Consolidation succeeded", True, ""),
    VerificationCheck("No rejected writes", False, ""),
)


def test_each_night_has_a_row_with_its_batch_and_the_checks_that_it_passed(monkeypatch):
    found = report(monkeypatch, OURS, PASSED)
    assert (found.headline, found.health) == ("2 of 2 nights verified", Health.OK)
    [table] = found.tables
    assert [(row["night"], row["batch"], row["checks passed"]) for row in table.rows] == [
        (FIRST, BATCH, "1 of 1"),
        (LAST, BATCH, "1 of 1"),
    ]


def test_a_failed_check_is_named_and_an_unread_one_is_unknown_though_the_night_is_in_order(monkeypatch):
    failed = report(monkeypatch, OURS, PASSED, FAILED)
    assert (failed.headline, failed.health) == ("0 of 2 nights verified", Health.CRITICAL)
    assert failed.tables[0].rows[0]["checks passed"] == "1 of 2; not: No rejected writes"
    unread = report(monkeypatch, OURS, SourceUnavailable("No answer."))
    assert (unread.health, unread.tables[0].rows[0]["checks passed"]) == (Health.UNKNOWN, "unknown: No answer.")


def test_a_batch_of_another_coordinator_is_judged_by_its_night(monkeypatch):
    found = report(monkeypatch, make_batch(record_source="logs"), FAILED)
    assert (found.health, found.tables[0].rows[0]["checks passed"]) == (Health.OK, "not recorded")


def test_a_night_is_as_bad_as_its_judgement_and_a_range_as_its_worst_night(monkeypatch):
    found = report(monkeypatch, OURS, PASSED, last=Health.CRITICAL)
    assert (found.headline, found.health) == ("1 of 2 nights verified", Health.CRITICAL)
    assert [row["health"] for row in found.tables[0].rows] == [Health.OK, Health.CRITICAL]


@pytest.mark.parametrize(
    ("health", "headline"),
    [(Health.NONE_EXPECTED, "2 of 2 nights verified"), (Health.UNKNOWN, "0 of 2 nights verified")],
)
def test_a_night_without_games_is_proven_and_an_unknown_one_is_not(monkeypatch, health, headline):
    found = report(monkeypatch, None, health=health)
    assert (found.headline, found.health) == (headline, health)
    assert found.tables[0].rows[0]["batch"] == "none"


def test_batches_that_cannot_be_read_are_unknown_and_not_none(monkeypatch):
    [row, _] = report(monkeypatch, None, batches=None).tables[0].rows
    assert (row["batch"], row["checks passed"]) == (None, "unknown")


def test_a_check_that_could_not_be_made_is_not_passed(monkeypatch):
    unmade = VerificationCheck("No rejected writes", None, "")
    found = report(monkeypatch, OURS, PASSED, unmade)
    assert (found.headline, found.health) == ("0 of 2 nights verified", Health.UNKNOWN)
    assert found.tables[0].rows[0]["checks passed"] == "1 of 2; not: No rejected writes"


def test_a_season_is_refused_before_anything_is_read():
    with pytest.raises(InvalidInput, match="a range has at most 14"):
        range_verification_report(CLIENTS, date(2025, 1, 1), LAST)
