"""Names with odds that resolve to nobody: a warning where they rise, unknown where a source is, and its rule says the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.core.result import Health, Problem, Result
from services.judgement.names import judge_names
from services.judgement.statement import Statement
from services.nights.coverage import CoverageHistory
from tests.support.alert_factories import make_names_before, make_players, make_unmatched_names
from tests.support.factories import NOW, make_night
from tests.support.night_facts import OUTDATED, SETTINGS, UNREAD, make_facts

BEFORE = Result(make_names_before(3, of=150))


def judge(unresolved: int = 8, usual: Result[Any] = BEFORE, **changes: Any) -> Statement:
    night = make_night(*make_players(168), *make_unmatched_names(unresolved), **changes)
    return judge_names(make_facts(night=Result(night), usual=usual), SETTINGS)


def test_as_many_unmatched_names_as_before_are_in_order_with_both_numbers():
    statement = judge()
    assert (statement.health, statement.part, statement.whole) == (Health.OK, 168, 176)
    assert statement.text == (
        "8 of 176 odds names match no player in context, and no alias; 3 of 150 on the game date before"
    )


def test_a_rise_is_a_warning():
    assert judge(94).health is Health.WARNING


def test_the_night_before_is_the_last_one_with_odds():
    no_games, earlier = make_names_before(0, of=0), make_names_before(90, of=100, days_before=2)
    assert judge(94, Result(CoverageHistory((*earlier.days, *no_games.days), ()))).health is Health.OK
    of_this_night = replace(earlier.days[0], game_date=earlier.days[0].game_date + timedelta(days=2))
    assert not judge(94, Result(CoverageHistory((of_this_night,), ()))).recorded, "it is no night before"


def test_without_an_earlier_night_a_rise_is_not_recorded():
    statement = judge(94, Result(CoverageHistory((), ())))
    assert (statement.is_proven, statement.recorded) == (True, False)


@pytest.mark.parametrize("usual", [UNREAD, replace(BEFORE, outdated=OUTDATED)])
def test_without_a_fresh_reading_of_the_night_before_it_is_unknown(usual):
    assert judge(usual=usual).health is Health.UNKNOWN


def test_aliases_that_could_not_be_read_leave_it_unknown_and_other_sources_do_not():
    for source, health in (("aliases", Health.UNKNOWN), ("worker log", Health.OK)):
        assert judge(problems=(Problem(source, NOW, "no answer"),)).health is health


def test_a_night_without_odds_expects_no_names():
    facts = make_facts(night=Result(make_night(*make_players(3, has_odds=False))), usual=BEFORE)
    assert judge_names(facts, SETTINGS).health is Health.NONE_EXPECTED
