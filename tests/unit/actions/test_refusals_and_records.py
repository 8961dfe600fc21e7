"""What stops an action, what a click that came second gets, and what of an action is recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.actions import executor, log_reader, log_writer
from services.actions.action_type import ActionContext, ActionType, Verification
from services.actions.executor import ActionRefused, execute, recover
from services.actions.log_reader import ActionState, group_by_action, read_action, read_action_log, read_by_key
from services.actions.log_writer import ActionNotRecorded, ActionRecord, claim_attempt, log_outcome
from services.actions.plan import Change, Confirmation, CoverageCount, Guard, Plan
from services.auth.roles import InsufficientRole, Role
from services.core.errors import OnCallError, SourceUnavailable
from services.core.process_id import PROCESS_ID
from tests.support.actors import OPERATOR, VIEWER
from tests.support.clock import FixedClock
from tests.support.memory_records import MemoryRecords

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)


class World:
    """One action type on a state that the test changes, and what was called with which arguments."""

    def __init__(self, clock: FixedClock) -> None:
        self.clock, self.rows, self.guard = clock, 25, Guard("proof", True, "All rows are merged.")
        self.applied: list[ActionContext] = []
        self.verified: list[tuple[Any, Any]] = []
        self.verification = Verification(ActionState.DONE, "It is gone.", {"rows": 0}, CoverageCount(158, 158))
        self.changes: dict[str, Any] = {}  # of the plan
        self.type = ActionType("test.drop", "Drop", self.plan, self.apply, self.verify, frozenset())

    def plan(self, _clients: object, args: Any) -> Plan:
        plan = Plan(
            "test.drop",
            "_staging_a",
            "Drop 1 table",
            args,
            {"rows": self.rows},
            (Change("_staging_a", f"{self.rows} rows", "dropped"),),
            (self.guard,),
            self.clock.now(),
            "Bring back",
            coverage=CoverageCount(68, 158),
        )
        return replace(plan, **self.changes)

    def apply(self, context: ActionContext) -> dict[str, Any]:
        self.applied.append(context)
        context.report_progress("Half done.", half=1)
        return {"dropped": 1}

    def verify(self, clients: Any, plan: Any, details: Any) -> Verification:
        assert clients.clock is self.clock
        self.verified.append((plan, dict(details)))
        return self.verification


@pytest.fixture
def clients(records):
    return records.clients()


@pytest.fixture
def world(records):
    return World(records.clock)


def shown(world: World) -> Plan:
    return world.plan(None, {"tables": ["_staging_a"]})


def rows_of(records: MemoryRecords, event: str) -> list[dict[str, Any]]:
    return [row for row in records.tables["actions"] if row["event"] == event]


def refuse(clients: Any, world: World, plan: Plan, *texts: Any) -> str:
    """The sentence with which a plan is refused, after which nothing was done."""
    with pytest.raises(ActionRefused) as refused:
        execute(clients, OPERATOR, world.type, plan, *texts)
    assert (world.applied, world.verified) == ([], [])
    return refused.value.message


# --- what is recorded -----------------------------------------------------------------------------------------------------


def test_an_action_is_recorded_with_who_why_what_and_what_came_of_it(clients, records, world):
    plan = shown(world)
    action = execute(clients, OPERATOR, world.type, plan, "  cleaning up  ")
    intent, step, outcome = records.tables["actions"]
    assert [row["event"] for row in (intent, step, outcome)] == ["intent", "step", "outcome"]
    assert {row["action_id"] for row in (intent, step, outcome)} == {action.action_id}
    assert (intent["actor"], intent["role"], intent["reason"]) == ("nora", "operator", "cleaning up")
    assert (intent["attempt"], intent["verb"], intent["target"]) == (0, "test.drop", "_staging_a")
    assert (intent["state"], step["state"], outcome["state"]) == ("under way", "under way", "done")
    assert (intent["facts"], action.recorded_by) == ("{}", PROCESS_ID)
    assert (intent["sentence"], step["sentence"], outcome["sentence"]) == ("begun", "Half done.", "It is gone.")
    assert (step["facts"], step["plan"]) == ('{"half": 1}', "null")
    assert (intent["eligible"], intent["active_before"], intent["active_after"]) == (158, 68, None)
    assert (outcome["eligible"], outcome["active_before"], outcome["active_after"]) == (158, 68, 158)
    assert action.plan == plan
    assert (action.facts, action.state) == ({"half": 1, "dropped": 1, "after": {"rows": 0}}, ActionState.DONE)


def test_an_action_is_given_its_plan_and_actor_and_is_verified_with_its_details(clients, world):
    plan = shown(world)
    action = execute(clients, OPERATOR, world.type, plan)
    (context,) = world.applied
    assert (context.clients, context.actor, context.plan, context.action_id) == (
        clients,
        OPERATOR,
        plan,
        action.action_id,
    )
    assert world.verified == [(plan, {"half": 1, "dropped": 1})]


def test_a_step_that_cannot_be_recorded_is_logged_and_does_not_stop_the_action(clients, records, world, caplog):
    records.is_failing = lambda job_id: "step" in job_id
    action = execute(clients, OPERATOR, world.type, shown(world))
    assert (action.state, action.facts["half"], action.steps) == (ActionState.DONE, 1, ())
    (line,) = caplog.records
    assert (line.name, line.message) == (executor.__name__, f"a step of {action.action_id} was not recorded")
    assert "ActionNotRecorded" in caplog.text


def test_an_action_that_cannot_be_recorded_is_not_done(clients, records, world):
    records.is_failing = lambda _: True
    with pytest.raises(ActionNotRecorded, match="The action log cannot be written"):
        execute(clients, OPERATOR, world.type, shown(world))
    assert world.applied == []


def test_an_outcome_is_recorded_again_until_it_is_there(clients, records, world, monkeypatch):
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: records.clock.advance(seconds))
    failing = iter([True, True])
    records.is_failing = lambda job_id: "outcome" in job_id and next(failing, False)
    assert execute(clients, OPERATOR, world.type, shown(world)).state is ActionState.DONE
    assert len(world.applied) == 1


def test_an_outcome_that_stays_unrecorded_is_tried_for_two_minutes_and_raised(clients, records, world, monkeypatch):
    seconds, waits = [0.0], []

    def sleep(wait_s: float) -> None:
        waits.append(wait_s)
        seconds[0] += wait_s

    monkeypatch.setattr("tenacity.nap.time.sleep", sleep)
    monkeypatch.setattr("tenacity.time.monotonic", lambda: seconds[0])
    monkeypatch.setattr("tenacity.wait.random.uniform", lambda _, longest_s: longest_s)
    records.is_failing = lambda job_id: "outcome" in job_id
    with pytest.raises(ActionNotRecorded):
        execute(clients, OPERATOR, world.type, shown(world))
    assert waits == [0.5, 1, 2, 4, 8, *[15] * 7]
    assert len(world.applied) == 1


def test_another_error_than_a_lost_record_is_not_retried(clients, records, world, monkeypatch):
    calls: list[int] = []

    def break_down(*_: object) -> None:
        calls.append(1)
        raise ZeroDivisionError

    monkeypatch.setattr(log_writer, "log_outcome", break_down)
    with pytest.raises(ZeroDivisionError):
        execute(clients, OPERATOR, world.type, shown(world))
    assert len(calls) == 1


def test_a_log_that_does_not_show_the_action_is_an_error(clients, world, monkeypatch):
    monkeypatch.setattr(log_reader, "read_action", lambda *_: None)
    with pytest.raises(ActionNotRecorded, match="The result of “Drop 1 table” is not recorded yet"):
        execute(clients, OPERATOR, world.type, shown(world))


# --- what stops it ----------------------------------------------------------------------------------------------------------


def test_a_viewer_is_denied_and_that_is_recorded(clients, records, world):
    with pytest.raises(InsufficientRole, match="“Drop 1 table” needs an operator"):
        execute(clients, VIEWER, world.type, shown(world))
    (row,) = records.tables["actions"]
    assert (row["event"], row["state"], row["actor"], row["attempt"]) == ("outcome", "denied", "vic", -1)
    assert row["sentence"] == "vic is a viewer; “Drop 1 table” needs an operator."
    assert world.applied == []


def test_a_viewer_may_do_what_asks_for_no_more(clients, world):
    assert execute(clients, VIEWER, replace(world.type, required_role=Role.VIEWER), shown(world)).actor == "vic"


def test_a_plan_whose_state_changed_since_it_was_shown_is_refused_and_that_is_recorded(clients, records, world):
    plan = shown(world)
    world.rows = 26
    sentence = refuse(clients, world, plan)
    assert sentence == "Blocked, nothing was run: the state changed since the plan was built: rows: 25 → 26."
    (row,) = records.tables["actions"]
    assert (row["event"], row["state"], row["attempt"]) == ("outcome", "refused", -1)
    assert row["sentence"] == "the state changed since the plan was built: rows: 25 → 26."
    assert row["facts"] == "{}"
    refuse(clients, world, plan)
    assert len(records.tables["actions"]) == 2, "each refusal has a row of its own"


def test_the_plan_is_made_anew_from_its_own_parameters(clients, world):
    plan = shown(world)
    world.plan(None, {"tables": []})
    execute(clients, OPERATOR, world.type, plan)
    assert world.applied[0].plan.args == {"tables": ["_staging_a"]}


def test_a_plan_that_cannot_be_made_anew_is_refused(clients, world):
    def fail(*_: object) -> Plan:
        raise SourceUnavailable("BigQuery did not answer.")

    plan, world.type = shown(world), replace(world.type, plan=fail)
    assert refuse(clients, world, plan) == (
        "Blocked, nothing was run: the plan could not be built again: BigQuery did not answer."
    )


@pytest.mark.parametrize("ok", [False, None])
def test_a_guard_that_fails_or_is_not_known_stops_it(clients, world, ok):
    world.guard = Guard("proof", ok, "3 rows are not merged.")
    assert refuse(clients, world, shown(world)) == "Blocked, nothing was run: 3 rows are not merged."


@pytest.mark.parametrize(
    ("reason", "typed", "refusal"),
    [
        ("", "_staging_a", "a reason is required."),
        ("  ", "_staging_a", "a reason is required."),
        ("cleaning", "", "“_staging_a” must be typed exactly."),
        ("cleaning", "_STAGING_A", "“_staging_a” must be typed exactly."),
        ("x" * 301, "_staging_a", "the reason has 301 of 300 characters."),
    ],
)
def test_what_could_destroy_needs_a_reason_and_the_name_typed(clients, world, reason, typed, refusal):
    world.changes = {"confirmation": Confirmation.TYPED, "confirmation_text": "_staging_a"}
    assert refuse(clients, world, shown(world), reason, typed) == f"Blocked, nothing was run: {refusal}"


def test_with_reason_and_name_it_is_done(clients, world):
    world.changes = {"confirmation": Confirmation.TYPED, "confirmation_text": "_staging_a"}
    assert execute(clients, OPERATOR, world.type, shown(world), "cleaning", " _staging_a ").reason == "cleaning"


def test_one_click_needs_neither_reason_nor_name(clients, world):
    assert execute(clients, OPERATOR, world.type, shown(world)).reason == ""


# --- a second click -----------------------------------------------------------------------------------------------------------


def begin(clients: Any, world: World, action_id: str, attempt: int = 0) -> ActionRecord:
    """Another process has begun the same plan."""
    record = ActionRecord(action_id, OPERATOR, shown(world), attempt, "cleaning")
    assert claim_attempt(clients, record)
    return record


def test_a_second_click_on_the_same_plan_gets_the_first_action(clients, records, world):
    plan = shown(world)
    first = execute(clients, OPERATOR, world.type, plan)
    records.clock.advance(1)
    assert execute(clients, OPERATOR, world.type, plan) == first
    assert len(world.applied) == 1


def test_a_plan_made_after_the_first_action_ended_is_a_new_attempt(clients, records, world):
    execute(clients, OPERATOR, world.type, shown(world))
    records.clock.advance(1)
    again = execute(clients, OPERATOR, world.type, shown(world))
    assert (again.attempt, len(world.applied)) == (1, 2)
    records.clock.advance(1)
    assert execute(clients, OPERATOR, world.type, shown(world)).attempt == 2


def test_what_another_process_has_under_way_is_not_done_again(clients, world):
    begin(clients, world, "theirs")
    assert execute(clients, OPERATOR, world.type, shown(world)).action_id == "theirs"
    assert world.applied == []


def test_of_several_attempts_the_newest_is_the_one_under_way(clients, records, world):
    plan = shown(world)
    for attempt, action_id in enumerate(("first", "second")):
        records.clock.advance(1)
        begin(clients, world, action_id, attempt)
    assert execute(clients, OPERATOR, world.type, plan).action_id == "second"


def test_a_refused_attempt_is_not_taken_for_one_under_way(clients, records, world):
    plan, world.rows = shown(world), 26
    refuse(clients, world, plan)
    world.rows = 25
    records.clock.advance(1)
    assert execute(clients, OPERATOR, world.type, plan).attempt == 0
    assert len(world.applied) == 1


def test_who_acted_between_our_two_reads_made_the_state_change_and_is_not_a_refusal(clients, records, world):
    plan, make_plan = shown(world), world.plan

    def plan_while_another_acts(clients: Any, args: Any) -> Plan:
        theirs = begin(clients, world, "theirs")
        log_outcome(clients, theirs, ActionState.DONE, "Gone.", {}, None)
        world.rows = 0
        return make_plan(clients, args)

    world.type = replace(world.type, plan=plan_while_another_acts)
    assert execute(clients, OPERATOR, world.type, plan).action_id == "theirs"
    assert (world.applied, [row["state"] for row in rows_of(records, "outcome")]) == ([], ["done"])


def test_of_two_processes_that_claim_at_once_the_loser_gets_the_winners_action(clients, records, world):
    plan, make_plan = shown(world), world.plan

    def plan_while_another_claims(clients: Any, args: Any) -> Plan:
        begin(clients, world, "winner")
        return make_plan(clients, args)

    world.type = replace(world.type, plan=plan_while_another_claims)
    assert execute(clients, OPERATOR, world.type, plan).action_id == "winner"
    assert world.applied == []


def test_a_claim_whose_winner_is_not_in_the_log_is_an_error(clients, world, monkeypatch):
    monkeypatch.setattr(log_writer, "claim_attempt", lambda *_: False)
    with pytest.raises(ActionNotRecorded, match="is not recorded yet"):
        execute(clients, OPERATOR, world.type, shown(world))


def test_a_claim_whose_answer_was_lost_is_ours(clients, world):
    record = begin(clients, world, "mine")
    assert claim_attempt(clients, record)
    assert not claim_attempt(clients, replace(record, action_id="other"))


# --- what came of it ------------------------------------------------------------------------------------------------------------


def test_a_fault_of_ours_is_named_by_its_kind_and_the_state_is_read_all_the_same(clients, world, caplog):
    def break_down(_: object) -> dict[str, Any]:
        raise ZeroDivisionError("division by zero")

    world.verification = Verification(ActionState.FAILED, "Nothing changed.")
    action = execute(clients, OPERATOR, replace(world.type, apply=break_down), shown(world))
    assert action.state is ActionState.FAILED
    assert action.message == "Dashboard bug (ZeroDivisionError): please report it with its log. Nothing changed."
    (line,) = caplog.records
    assert (line.name, line.message) == (executor.__name__, "Drop 1 table failed")
    assert "division by zero" in caplog.text


def test_a_call_whose_answer_was_lost_and_that_worked_is_done(clients, world):
    def lose_the_answer(_: object) -> dict[str, Any]:
        raise OnCallError("No answer.")

    action = execute(clients, OPERATOR, replace(world.type, apply=lose_the_answer), shown(world))
    assert (action.state, action.message) == (ActionState.DONE, "No answer. It is gone.")


def test_a_state_that_cannot_be_read_again_is_unverified(clients, world):
    def fail(*_: object) -> Verification:
        raise SourceUnavailable("BigQuery did not answer.")

    action = execute(clients, OPERATOR, replace(world.type, verify=fail), shown(world))
    assert action.state is ActionState.UNVERIFIED
    assert action.message == "The result could not be read: BigQuery did not answer."


def test_what_still_goes_on_when_the_action_ends_is_unverified(clients, world):
    world.verification = Verification(ActionState.IN_PROGRESS, "25 rows are left.", {"rows": 25})
    action = execute(clients, OPERATOR, world.type, shown(world))
    assert (action.state, action.message) == (ActionState.UNVERIFIED, "25 rows are left.")
    assert action.facts["after"] == {"rows": 25}


def test_a_failure_comes_before_what_was_read_afterwards(clients, world):
    def lose_the_answer(_: object) -> dict[str, Any]:
        raise OnCallError("No answer.")

    world.verification = Verification(ActionState.IN_PROGRESS, "25 rows are left.")
    action = execute(clients, OPERATOR, replace(world.type, apply=lose_the_answer), shown(world))
    assert (action.state, action.message) == (ActionState.UNVERIFIED, "No answer. 25 rows are left.")


def test_recovering_records_the_outcome_as_found_again_with_the_recorded_details(clients, records, world):
    begin(clients, world, "dead")
    (action,) = read_by_key(clients, shown(world).key)
    assert recover(clients, world.type, action) is world.verification
    (outcome,) = rows_of(records, "outcome")
    assert (outcome["action_id"], outcome["state"], outcome["actor"]) == ("dead", "done", "nora")
    assert (outcome["role"], outcome["attempt"], outcome["reason"]) == ("operator", 0, "cleaning")
    assert outcome["facts"] == '{"found_again": true, "after": {"rows": 0}}'
    assert world.verified == [(shown(world), {})]


def test_recovering_what_goes_on_records_that_it_does_and_no_outcome(clients, records, world):
    begin(clients, world, "dead")
    (action,) = read_by_key(clients, shown(world).key)
    world.verification = Verification(ActionState.IN_PROGRESS, "25 rows are left.")
    recover(clients, world.type, action)
    (heartbeat,) = rows_of(records, "heartbeat")
    assert (heartbeat["action_id"], heartbeat["sentence"], heartbeat["facts"], rows_of(records, "outcome")) == (
        "dead",
        "25 rows are left.",
        "{}",
        [],
    )


def test_every_check_of_what_goes_on_is_recorded(clients, records, world):
    begin(clients, world, "dead")
    world.verification = Verification(ActionState.IN_PROGRESS, "25 rows are left.")
    for _ in range(2):
        (action,) = read_by_key(clients, shown(world).key)
        recover(clients, world.type, action)
        records.clock.advance(300)
    assert len(rows_of(records, "heartbeat")) == 2


def test_coverage_after_an_action_is_recorded_with_its_own_total(clients, records, world):
    world.verification = Verification(ActionState.DONE, "It is gone.", {}, CoverageCount(150, 160))
    action = execute(clients, OPERATOR, world.type, shown(world))
    assert (action.coverage_before, action.coverage_after) == (CoverageCount(68, 160), CoverageCount(150, 160))


def test_an_action_without_coverage_has_none(clients, world):
    world.changes, world.verification = {"coverage": None}, Verification(ActionState.DONE, "It is gone.")
    action = execute(clients, OPERATOR, world.type, shown(world))
    assert (action.coverage_before, action.coverage_after) == (None, None)


# --- the log --------------------------------------------------------------------------------------------------------------------


def test_the_log_has_the_newest_action_first_with_its_steps(clients, records, world):
    execute(clients, OPERATOR, world.type, shown(world))
    records.clock.advance(60)
    execute(clients, OPERATOR, world.type, shown(world))
    log = read_action_log(clients, NOW, NOW + timedelta(hours=1))
    assert log.source.name == "actions.between"
    assert [action.attempt for action in log.actions] == [1, 0]
    newest = log.actions[0]
    assert newest.steps == ((NOW + timedelta(seconds=60), "Half done."),)
    assert (newest.started_at, newest.ended_at, newest.last_event_at) == (NOW + timedelta(seconds=60),) * 3
    assert (newest.coverage_before, newest.coverage_after) == (CoverageCount(68, 158), CoverageCount(158, 158))
    assert (newest.action_name, newest.target, newest.title) == ("test.drop", "_staging_a", "Drop 1 table")


def test_only_actions_of_the_time_asked_for_are_read(clients, world):
    execute(clients, OPERATOR, world.type, shown(world))
    assert read_action_log(clients, NOW + timedelta(seconds=1), NOW + timedelta(hours=1)).actions == ()


@pytest.mark.parametrize(("silent_s", "abandoned"), [(150, False), (151, True)])
def test_an_action_without_a_row_for_150_s_has_lost_its_process(clients, world, silent_s, abandoned):
    begin(clients, world, "dead")
    (action,) = read_by_key(clients, shown(world).key)
    assert action.is_abandoned(NOW + timedelta(seconds=silent_s)) is abandoned


def test_an_ended_action_is_never_abandoned(clients, world):
    assert not execute(clients, OPERATOR, world.type, shown(world)).is_abandoned(NOW + timedelta(days=1))


def make_row(event: str, **changes: Any) -> Any:
    """One row of the log as BigQuery returns it."""
    record = ActionRecord("a", OPERATOR, World(FixedClock(NOW)).plan(None, {}), 0, "")
    return {**record.row(NOW, event, ActionState.IN_PROGRESS, event, {event: 1}), **changes}


def test_an_action_has_the_details_of_all_its_rows(world):
    rows = [make_row("intent"), make_row("step", facts={"step": 2}), make_row("outcome", facts=None, state="done")]
    (action,) = group_by_action(rows)
    assert action.facts == {"intent": 1, "step": 2}


@pytest.mark.parametrize(
    ("plans", "found"), [(["null", None], ""), (["null", '{"a": 1}'], '{"a": 1}'), ([None, {"a": 1}], '{"a": 1}')]
)
def test_a_plan_is_read_from_the_first_row_that_has_one_as_text_or_as_json(plans, found):
    (action,) = group_by_action([make_row("intent", plan=plan) for plan in plans])
    assert action.plan_json == found


@pytest.mark.parametrize(("active", "eligible"), [(None, 158), (68, None), (None, None)])
def test_coverage_of_which_a_part_is_not_recorded_is_not_known(active, eligible):
    (action,) = group_by_action([make_row("intent", active_before=active, eligible=eligible)])
    assert action.coverage_before is None


def test_an_action_that_is_not_in_the_log_is_none(clients):
    assert read_action(clients, "nothing") is None
