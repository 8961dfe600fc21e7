"""One statement: its sentence, its badge, and what its readings leave of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.core.result import DataSource, Health, Problem, Result
from services.judgement.statement import Statement, Subject, list_problems, not_recorded, unknown
from tests.support.factories import NOW, make_night

SHORT = Statement(Subject.PLAYERS, Health.CRITICAL, "90 of 158 players are missing", "missing_players")
SINCE = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)
DOWN, OLD = Problem("a", NOW, "a does not answer"), Problem("b", NOW, "b is old")
LOG, JOBS = DataSource("log", NOW), DataSource("jobs", NOW)


def test_a_sentence_has_its_cause_its_beginning_and_its_first_doubt():
    because = replace(SHORT, cause="BigQuery rejected the write", since=SINCE, problems=(DOWN, OLD))
    assert because.sentence == (
        "90 of 158 players are missing: BigQuery rejected the write, since 14:47 ET (19:47 UTC), but a does not answer"
    )
    assert SHORT.sentence == "90 of 158 players are missing"


def test_what_the_text_says_already_is_not_said_again():
    text = "no context since 14:47 ET, a does not answer"
    assert replace(SHORT, text=text, since=SINCE, problems=(DOWN,)).sentence == text


@pytest.mark.parametrize(
    ("health", "is_proven"),
    [
        (Health.OK, True),
        (Health.NONE_EXPECTED, True),
        (Health.UNKNOWN, False),
        (Health.WARNING, False),
        (Health.CRITICAL, False),
    ],
)
def test_only_what_is_in_order_or_not_expected_is_proven(health, is_proven):
    assert replace(SHORT, health=health).is_proven is is_proven


def test_the_badge_has_the_health_or_that_nothing_is_recorded():
    assert SHORT.state == "critical"
    assert not_recorded(Subject.LINES, "no column", "missing_players").state == "not recorded"


@pytest.mark.parametrize(
    ("health", "doubted"),
    [
        (Health.OK, Health.UNKNOWN),
        (Health.NONE_EXPECTED, Health.UNKNOWN),
        (Health.WARNING, Health.UNKNOWN),
        (Health.CRITICAL, Health.CRITICAL),
    ],
)
def test_an_outdated_reading_leaves_a_statement_unknown_at_best(health, doubted):
    statement = replace(SHORT, health=health)
    assert statement.based_on(Result(1)).health is health
    assert statement.based_on(Result(1, outdated=OLD)).health is doubted
    assert statement.based_on(Result(1), problems=(OLD,)).health is doubted


def test_problems_and_sources_of_all_readings_are_kept_once_and_in_order():
    first, second = Result(make_night(sources=(LOG,)), outdated=OLD), Result(make_night(sources=(LOG, JOBS)))
    statement = SHORT.based_on(Result(None, DOWN), first).based_on(second, problems=(OLD,)).based_on(Result(1))
    assert (statement.problems, statement.sources) == ((DOWN, OLD), (LOG, JOBS))


def test_a_statement_whose_source_cannot_be_read_is_unknown_since_then_and_says_why():
    statement = unknown(Subject.ROWS, "coverage", Result(None, DOWN), Result(1, outdated=OLD))
    assert (statement.health, statement.page, statement.problems) == (Health.UNKNOWN, "coverage", (DOWN, OLD))
    assert statement.sentence == "unknown since 01:45 ET (06:45 UTC): a does not answer, but b is old"
    without_reason = unknown(Subject.ROWS, "coverage")
    assert (without_reason.health, without_reason.text) == (Health.UNKNOWN, "unknown")


def test_of_a_reading_the_failure_is_named_before_the_age():
    assert list_problems([Result(None, DOWN, OLD)]) == (DOWN, OLD)
