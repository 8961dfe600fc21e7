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


def test_a_rise_says_how_many_names_would_match_through_an_alias_and_an_unchanged_number_does_not():
    by_alias = make_unmatched_names(2, alias_canonical="ann")
    night = make_night(*make_players(98), *make_unmatched_names(50), *by_alias)
    statement = judge_names(make_facts(night=Result(night), usual=BEFORE), SETTINGS)
    assert (statement.health, statement.part, statement.whole) == (Health.WARNING, 100, 150)
    assert statement.text == (
        "50 of 150 odds names match no player in context, and no alias"
        "; 2 more would match through an alias; 3 of 150 on the game date before"
    )


@pytest.mark.parametrize(
    ("names", "unresolved", "before", "health"),
    [
        (100, 10, (0, 100), Health.WARNING),  # exactly as many more, and as many percentage points
        (100, 9, (0, 100), Health.OK),
        (1000, 50, (0, 1000), Health.OK),  # many more, of very many
        (20, 9, (0, 20), Health.OK),  # a large share, of few
        (100, 30, (25, 100), Health.OK),
        (100, 15, (6, 50), Health.OK),
    ],
)
def test_a_rise_is_one_in_number_and_in_share(names, unresolved, before, health):
    night = make_night(*make_players(names - unresolved), *make_unmatched_names(unresolved))
    usual = Result(make_names_before(before[0], of=before[1]))
    assert judge_names(make_facts(night=Result(night), usual=usual), SETTINGS).health is health


def test_a_player_in_context_is_matched_exactly_whatever_alias_he_has():
    night = make_night(*make_players(100, alias_canonical="ann"), *make_unmatched_names(50))
    text = judge_names(make_facts(night=Result(night), usual=BEFORE), SETTINGS).text
    assert text.startswith("50 of 150 odds names")
    assert "0 more would match through an alias" in text


def test_of_several_nights_before_the_last_is_compared():
    earlier, last = make_names_before(90, of=100, days_before=2), make_names_before(3, of=150)
    assert judge(94, Result(CoverageHistory((*earlier.days, *last.days), ()))).health is Health.WARNING


@pytest.mark.parametrize("usual", [BEFORE, Result(CoverageHistory((), ()))])
@pytest.mark.parametrize("unresolved", [0, 8])
def test_an_outdated_night_or_unread_aliases_leave_it_unknown(usual, unresolved):
    players = make_players(9 if unresolved else 0)
    for night in (
        Result(make_night(*players, *make_unmatched_names(unresolved)), outdated=OUTDATED),
        Result(make_night(*players, problems=(Problem("aliases", NOW, "no answer"),))),
    ):
        assert judge_names(make_facts(night=night, usual=usual), SETTINGS).health is Health.UNKNOWN


def test_an_outdated_history_without_an_earlier_night_leaves_it_unknown():
    assert judge(usual=Result(CoverageHistory((), ()), outdated=OUTDATED)).health is Health.UNKNOWN


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
