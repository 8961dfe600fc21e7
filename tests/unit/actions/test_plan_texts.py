"""What a plan says about itself: which guards stop it, what changed, and why a recorded one cannot be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.actions.plan import (
    Change,
    Confirmation,
    Figure,
    Guard,
    Plan,
    PlanNotReadable,
    diff_plans,
    plan_from_json,
    plan_to_json,
)

PLAN = Plan("runs.start", "2025-12-29", "Start", {"players": []}, {}, (), (), datetime(2025, 12, 30, tzinfo=UTC), "no")


@pytest.mark.parametrize(
    ("before", "after", "difference"),
    [
        ({"tables": ["a", "b"]}, {"tables": ["a"]}, "tables: a, b → a"),
        ({"tables": ("a", 1)}, {"tables": ()}, "tables: a, 1 → "),
        ({"batch": ""}, {"batch": "batch_1"}, "batch: none → batch_1"),
        ({"batch": {}}, {"batch": {"rows": 3}}, "batch: none → none"),
        ({"rows": 0}, {"rows": None}, "rows: 0 → none"),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, "a b c: 1 → 2"),
    ],
)
def test_a_changed_state_is_named_with_what_it_was_and_is(before, after, difference):
    found = diff_plans(replace(PLAN, preconditions=before), replace(PLAN, preconditions=after))
    assert difference in found


def test_every_difference_is_named_in_order_of_its_name():
    shown = replace(PLAN, preconditions={"b": 1, "a": 1, "c": 1})
    assert diff_plans(shown, replace(PLAN, preconditions={"b": 2, "a": 2, "c": 1})) == (
        "a: 1 → 2",
        "b: 1 → 2",
    )
    assert diff_plans(shown, shown) == ()


def test_of_very_many_differences_only_the_number_is_named():
    def with_players(*players, reason="write rejected"):
        return replace(PLAN, preconditions={"lost": dict.fromkeys(players, reason)})

    shown = with_players(*range(90))
    assert diff_plans(shown, with_players(*range(80))) == ("missing players: 90 → 80",)
    assert diff_plans(shown, with_players(*range(90), reason="not generated")) == (
        "missing players: 90 values changed",
    )
    assert diff_plans(shown, with_players(*range(89))) == ("missing players 89: write rejected → none",)


def test_other_changes_on_the_same_state_are_listed():
    changes = (Change("a", "1 row", "dropped"), Change("b", "2 rows", "dropped"))
    assert diff_plans(PLAN, replace(PLAN, changes=changes)) == (
        "it would now do: a: 1 row → dropped; b: 2 rows → dropped",
    )
    assert diff_plans(replace(PLAN, changes=changes), PLAN) == ("it would now do: nothing",)
    assert diff_plans(PLAN, replace(PLAN, figures=(Figure("Rows", "1", "2", "about"),))) == (
        "it would now do: Rows: 1 → 2",
    )


def test_figures_belong_to_the_plan_and_their_notes_may_change_by_themselves():
    plan = replace(PLAN, figures=(Figure("Rows", "1", "2", "done 18:52 ET"),), item="player", evidence=("same team",))
    assert plan.hash != PLAN.hash
    assert replace(plan, figures=(Figure("Rows", "1", "2", "done 18:53 ET"),)).hash == plan.hash
    assert replace(plan, figures=(Figure("Rows", "1", "3", "done 18:52 ET"),)).hash != plan.hash
    assert plan_from_json(plan_to_json(plan)) == plan


def test_a_plan_is_recorded_readably_with_dates_and_letters_as_they_are():
    text = plan_to_json(replace(PLAN, title="Dončić", preconditions={"on": date(2025, 12, 29), "at": PLAN.planned_at}))
    assert '"title": "Dončić"' in text
    assert '"observed": {"at": "2025-12-30T00:00:00+00:00", "on": "2025-12-29"}' in text
    assert '"sources"' not in text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            plan_to_json(replace(PLAN, guards=(Guard("proof", True, "Fine."),))).replace('"Fine."', "1"),
            "guards.0.sentence",
        ),
        (plan_to_json(PLAN).replace('"changes": []', '"changes": [{"what": "a", "before": 1}]'), "changes.0.before"),
        (plan_to_json(PLAN).replace('"guards": []', '"guards": ["proof"]'), "guards.0"),
        (plan_to_json(PLAN).replace('"guards": []', '"guards": 1'), "guards"),
        (plan_to_json(PLAN).replace('"verb": "runs.start"', '"verb": 1'), "verb"),
        (plan_to_json(PLAN).replace('"cautions": []', '"cautions": [{"message": 1}]'), "cautions.0"),
    ],
)
def test_what_is_wrong_in_a_recorded_plan_is_named_by_its_recorded_key(text, name):
    with pytest.raises(PlanNotReadable) as unreadable:
        plan_from_json(text)
    assert f"cannot be read: {name}: " in unreadable.value.message
    assert unreadable.value.hint.startswith("Look at its row in the action log")


def test_the_key_names_action_and_plan_without_a_dot():
    assert PLAN.key == f"runs-start-{PLAN.hash}"
    assert len(PLAN.hash) == 20


@pytest.mark.parametrize("field", ["action_name", "target", "args", "preconditions", "changes"])
def test_each_part_of_the_intention_is_part_of_the_hash(field):
    others: dict[str, Any] = {
        "args": {"players": ["a"]},
        "preconditions": {"a": 1},
        "changes": (Change("a", "b", "c"),),
    }
    other = others.get(field, "other")
    assert replace(PLAN, **{field: other}).hash != PLAN.hash


def test_what_only_explains_the_plan_is_not_part_of_the_hash():
    assert replace(PLAN, title="Begin", undo="yes", cost="1 query", confirmation=Confirmation.TYPED).hash == PLAN.hash
