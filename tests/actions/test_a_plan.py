"""A plan is the same plan in every process, and says what changed since it was shown."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.actions.plan import Change, Friction, Guard, Plan, Share, as_json, differences, from_json

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)


@pytest.fixture
def plan() -> Plan:
    return Plan(
        verb="staging.drop_merged",
        target="_staging_a",
        title="Drop 1 staging table",
        args={"tables": ["_staging_a"]},
        observed={"_staging_a": {"rows": 25, "etag": "x"}},
        changes=(Change("_staging_a", "25 rows", "dropped"),),
        guards=(Guard("proof", True, "All 25 rows are in the predictions table."),),
        planned_at=NOW,
        undo="Bring back",
        friction=Friction.TYPED,
        typed="_staging_a",
        coverage=Share(68, 158),
    )


def test_a_plan_made_later_from_the_same_state_is_the_same_plan(plan):
    assert replace(plan, planned_at=NOW + timedelta(minutes=5)).hash == plan.hash


def test_a_plan_on_another_state_is_another_plan_and_says_why(plan):
    later = replace(plan, observed={"_staging_a": {"rows": 26, "etag": "x"}})
    assert later.hash != plan.hash
    assert differences(plan, later) == ("_staging_a rows was 25, is 26",)


def test_something_that_appeared_or_vanished_is_told_as_such(plan):
    later = replace(plan, observed={"_staging_a": {"rows": 25}})
    assert differences(plan, later) == ("_staging_a etag was x, is not there",)


def test_a_plan_that_would_now_do_something_else_says_what(plan):
    later = replace(plan, changes=(Change("_staging_b", "1 row", "dropped"),))
    assert differences(plan, later) == ("it would now do: _staging_b: 1 row → dropped",)


def test_a_plan_survives_the_record_unchanged(plan):
    again = from_json(as_json(plan))
    assert again == plan
    assert again.hash == plan.hash


def test_a_guard_that_could_not_be_checked_stops_as_surely_as_a_no(plan):
    unknown = replace(plan, guards=(Guard("proof", None, "Not known."), Guard("other", True, "Fine.")))
    assert [guard.name for guard in unknown.blocked] == ["proof"]
