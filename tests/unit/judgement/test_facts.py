"""The facts of a night: which dates are usual, when it has to be run, and what of it is old."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from services.batches.state import BatchState
from services.core.result import Problem, Result
from services.judgement.facts import nights_before
from tests.support.alert_factories import make_batch
from tests.support.factories import NOW, TIP_OFF, make_night
from tests.support.night_facts import SETTINGS, UNREAD, make_batches, make_facts

READINGS = ("night", "batches", "writes", "usual", "record")
DEADLINE = TIP_OFF - timedelta(minutes=SETTINGS.run_deadline_before_tipoff_min)


def test_the_three_weeks_before_a_night_show_what_is_usual():
    assert nights_before(date(2025, 12, 29)) == (date(2025, 12, 8), date(2025, 12, 28))


def test_each_outdated_reading_is_named_once():
    problems = {name: Problem(name, NOW, f"{name} does not answer") for name in READINGS}
    facts = make_facts()
    old = {name: replace(getattr(facts, name), outdated=problem) for name, problem in problems.items()}
    assert make_facts(**old).outdated == tuple(problems.values())
    assert make_facts(**dict.fromkeys(READINGS, replace(facts.night, outdated=problems["night"]))).outdated == (
        problems["night"],
    )
    assert facts.outdated == ()


def test_the_first_of_the_games_sets_the_deadline():
    facts = make_facts(night=Result(make_night(tip_offs=(TIP_OFF + timedelta(hours=3), TIP_OFF))), now=DEADLINE)
    assert (facts.first_tip_off, facts.is_overdue(SETTINGS)) == (TIP_OFF, True)
    assert not replace(facts, now=DEADLINE - timedelta(seconds=1)).is_overdue(SETTINGS)
    for unknown in (UNREAD, Result(make_night(tip_offs=()))):
        assert make_facts(night=unknown).first_tip_off is None
        assert not make_facts(night=unknown).is_overdue(SETTINGS)


@pytest.mark.parametrize(
    ("state", "now", "may_complete"),
    [
        (BatchState.RUNNING, DEADLINE - timedelta(seconds=1), True),
        (BatchState.RUNNING, DEADLINE, False),
        (BatchState.CONSOLIDATED, DEADLINE - timedelta(seconds=1), False),
    ],
)
def test_a_night_may_complete_while_a_batch_runs_and_its_deadline_has_not_come(state, now, may_complete):
    facts = make_facts(batches=make_batches(make_batch(state=state)), now=now)
    assert facts.may_complete(SETTINGS) is may_complete
