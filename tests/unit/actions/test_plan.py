"""A plan is the same plan in every process, and says what changed since it was shown."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.actions.plan import (
    Change,
    Confirmation,
    CoverageCount,
    Guard,
    Plan,
    PlanNotReadable,
    diff_plans,
    plan_from_json,
    plan_to_json,
)

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)


@pytest.fixture
def plan() -> Plan:
    return Plan(
        action_name="staging.drop_merged",
        target="_staging_a",
        title="Drop 1 staging table",
        args={"tables": ["_staging_a"]},
        preconditions={"_staging_a": {"rows": 25, "etag": "x"}},
        changes=(Change("_staging_a", "25 rows", "dropped"),),
        guards=(Guard("proof", True, "All 25 rows are in the predictions table."),),
        planned_at=NOW,
        undo="Bring back",
        confirmation=Confirmation.TYPED,
        confirmation_text="_staging_a",
        coverage=CoverageCount(68, 158),
    )


def test_a_plan_made_later_from_the_same_state_is_the_same_plan(plan):
    assert replace(plan, planned_at=NOW + timedelta(minutes=5)).hash == plan.hash


def test_a_plan_on_changed_state_differs_and_lists_the_differences(plan):
    changed_plan = replace(plan, preconditions={"_staging_a": {"rows": 26, "etag": "x"}})
    assert changed_plan.hash != plan.hash
    assert diff_plans(plan, changed_plan) == ("_staging_a rows: 25 → 26",)


def test_an_added_or_removed_value_is_reported_as_such(plan):
    changed_plan = replace(plan, preconditions={"_staging_a": {"rows": 25}})
    assert diff_plans(plan, changed_plan) == ("_staging_a etag: x → none",)


def test_a_plan_with_other_changes_reports_them(plan):
    changed_plan = replace(plan, changes=(Change("_staging_b", "1 row", "dropped"),))
    assert diff_plans(plan, changed_plan) == ("it would now do: _staging_b: 1 row → dropped",)


def test_a_plan_survives_serialization_unchanged(plan):
    restored_plan = plan_from_json(plan_to_json(plan))
    assert restored_plan == plan
    assert restored_plan.hash == plan.hash


RECORDED_PLAN = (
    '{"args": {"tables": ["_staging_a"]}, "cautions": [], "changes": [{"after": "dropped", "before": "25 rows",'
    ' "what": "_staging_a"}], "commands": [], "cost": "", "coverage": {"active": 68, "eligible": 158},'
    ' "friction": "a reason and the target\'s name typed", "guards": [{"name": "proof", "ok": true, "sentence":'
    ' "All 25 rows are in the predictions table."}], "observed": {"_staging_a": {"etag": "x", "rows": 25}},'
    ' "planned_at": "2025-12-30T06:45:00+00:00", "target": "_staging_a", "title": "Drop 1 staging table",'
    ' "typed": "_staging_a", "undo": "Bring back", "verb": "staging.drop_merged"}'
)  # as versions up to 191108a recorded it, with the hash they gave it


def test_a_plan_recorded_by_an_older_version_is_read_with_the_same_hash(plan):
    assert plan_from_json(RECORDED_PLAN) == plan
    assert plan_from_json(RECORDED_PLAN).hash == "a0d0d1d149757ad4373c"
    assert plan_to_json(plan) == RECORDED_PLAN


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read: it is not JSON"),
        ("{", "cannot be read: it is not JSON"),
        ("[]", "cannot be read: it is not a JSON object"),
        (RECORDED_PLAN.replace('"target": "_staging_a", ', ""), "cannot be read: target"),
        (RECORDED_PLAN.replace("2025-12-30T06:45:00+00:00", "yesterday"), "cannot be read: planned_at"),
        (RECORDED_PLAN.replace("a reason and the", "no"), "cannot be read: friction"),
        (RECORDED_PLAN.replace('"ok": true', '"ok": "maybe"'), r"cannot be read: guards\.0\.ok"),
    ],
)
def test_a_stored_text_that_is_no_plan_is_a_clear_error(text, message):
    with pytest.raises(PlanNotReadable, match=message):
        plan_from_json(text)


def test_a_guard_that_could_not_be_checked_blocks_like_a_failed_one(plan):
    unknown = replace(plan, guards=(Guard("proof", None, "Not known."), Guard("other", True, "Fine.")))
    assert [guard.name for guard in unknown.failed_guards] == ["proof"]
