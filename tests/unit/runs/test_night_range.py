"""Several nights in one range: what is refused, that each night is its own run, and that a range stops and goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from services.actions.action_type import ActionType, Verification
from services.actions.executor import ActionRefused, execute, recover
from services.actions.log_reader import ActionState, read_action, read_action_log
from services.actions.plan import Confirmation, CoverageCount, Figure, Guard, Plan
from services.core.errors import InvalidInput
from services.runs import night_range, range_actions
from services.runs.night_range import (
    MAX_NIGHTS,
    build_plan,
    find_progress,
    find_running_range,
    find_unfinished_range,
    night_args,
    parse_range,
    stopped_by,
    why_skipped,
)
from services.runs.range_actions import RUN_RANGE, STOP_RANGE
from tests.support.actors import OPERATOR

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
ELIGIBLE, ROWS = 10, 25
FIRST, LAST = date(2025, 12, 24), date(2025, 12, 29)


class ProcessKilled(BaseException):
    """Nothing that happens after it is carried out."""


@dataclass
class World:
    """Nights with their missing players; a night's run is an action of its own, as the real one is."""

    missing: dict[str, list[str]]
    without_games: tuple[str, ...] = ()
    blocked: dict[str, str] = field(default_factory=dict)
    failing: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    before_run: Callable[[str], None] = lambda _: None
    ran: list[tuple[str, list[str], str]] = field(default_factory=list)
    start_run: Any = None

    def plan(self, clients: Any, args: Any) -> Plan:
        night = args["game_date"]
        lost, everybody = self.missing[night], args.get("scope") == "date"
        active, has_games = ELIGIBLE - len(lost), night not in self.without_games
        return Plan(
            action_name="run.start", target=night, title=f"Re-run {len(lost)} players · {night}", args=dict(args),
            preconditions={"lost": dict.fromkeys(lost, "write rejected")},
            changes=(), planned_at=clients.now(), undo="no", coverage=CoverageCount(active, ELIGIBLE),
            guards=(
                Guard("games", has_games, "11 games."),
                Guard("players to run", bool(lost) or everybody, "Somebody."),
                Guard("no batch runs", night not in self.blocked, self.blocked.get(night, "None runs.")),
            ),
            figures=(
                Figure("Active players", f"{active:,}", f"{ELIGIBLE:,}"),
                Figure("Active rows", f"{active * ROWS:,}", f"{ELIGIBLE * ROWS:,}"),
            ),
            confirmation=Confirmation.TYPED if everybody else Confirmation.ONE_CLICK,
            confirmation_text=night if everybody else "",
        )  # fmt: skip

    def apply(self, context: Any) -> dict[str, Any]:
        night = context.plan.target
        context.clients.clock.advance(1)
        self.before_run(night)
        self.ran.append((night, sorted(context.plan.preconditions["lost"]), context.actor.name))
        if night not in self.failing:
            self.missing[night] = []
        return {}

    def verify(self, _clients: Any, plan: Plan, _details: Any) -> Verification:
        missing = len(self.missing[plan.target])
        state = ActionState.FAILED if missing else ActionState.DONE
        state = ActionState.UNVERIFIED if plan.target in self.unproven else state
        return Verification(state, f"{ELIGIBLE - missing} of {ELIGIBLE} active.")

    @property
    def nights_run(self) -> list[str]:
        return [night[-2:] for night, *_ in self.ran]


def make_world(monkeypatch: pytest.MonkeyPatch, *modules: Any) -> World:
    """24 and 26 to 28 December lack players, the 25th has no games, the 29th is complete."""
    days = {f"2025-12-{day}": [f"p{day}a", f"p{day}b"] for day in range(10, 31)} | {"2025-12-29": [], "2025-12-25": []}
    world = World(days, without_games=("2025-12-25",))
    start_run = ActionType("run.start", "Start run", world.plan, world.apply, world.verify, frozenset())
    for module in modules:
        monkeypatch.setattr(module, "START_RUN", start_run)
    world.start_run = start_run
    return world


@pytest.fixture
def world(monkeypatch):
    return make_world(monkeypatch, night_range, range_actions)


@pytest.fixture
def clients(records) -> Any:
    return records.clients()


def plan_range(clients: Any, first: object = FIRST, last: object = LAST, **args: Any) -> Plan:
    return RUN_RANGE.plan(clients, {"first": str(first), "last": str(last), **args})


def run(clients: Any, plan: Plan, **given: Any) -> Any:
    clients.clock.advance(1)
    return execute(clients, OPERATOR, RUN_RANGE, plan, **given)


def log(clients: Any) -> Any:
    return read_action_log(clients, NOW - timedelta(days=1), NOW + timedelta(days=1)).actions


REFUSED = [
    ({"first": "2025-12-29", "last": "2025-12-24"}, "before it begins"),
    ({"first": "2025-12-01", "last": "2025-12-29"}, f"29 nights; a range has at most {MAX_NIGHTS}"),
    ({"first": "2024-10-22", "last": "2025-06-22"}, "244 nights; a range has at most"),
    ({"first": "2025-12-29", "last": "2025-12-31"}, "2025-12-31 is in the future"),
    ({"first": "29 Dec", "last": "2025-12-29"}, "'29 Dec' is not a game date"),
    ({"first": "2025-12-29"}, "is not a game date"),
    ({"first": "2025-12-28", "last": "2025-12-29", "scope": "all"}, "not a scope"),
]


@pytest.mark.parametrize(("args", "sentence"), REFUSED)
def test_a_range_that_cannot_be_is_refused_in_a_sentence_before_any_night_is_read(world, clients, args, sentence):
    world.missing.clear()  # any read would fail
    with pytest.raises(InvalidInput, match=sentence):
        RUN_RANGE.plan(clients, args)


def test_the_plan_lists_each_night_with_its_players_rows_and_order(world, clients):
    plan = plan_range(clients)
    assert plan.title == "Re-run 4 nights · Wed 24 Dec 2025 to Mon 29 Dec 2025"
    assert [(change.what, change.before, change.after) for change in plan.changes[:2]] == [
        ("Wed 24 Dec 2025", "8 of 10 players, 200 rows active", "Re-run 2 players: 10 of 10 players, 250 rows active"),
        ("Thu 25 Dec 2025", "10 of 10 players, 250 rows active", "no games"),
    ]
    assert [change.after for change in plan.changes[-1:]] == ["complete: nobody to re-run"]
    assert [(f.label, f.before, f.after) for f in plan.figures] == [
        ("Nights to re-run", "4", "4"),
        ("Active players", "32", "40"),
        ("Active rows", "800", "1,000"),
    ]
    assert plan.failed_guards == ()
    assert plan.confirmation is Confirmation.ONE_CLICK


def test_each_night_is_its_own_recorded_and_verified_run_in_order(world, clients):
    action = run(clients, plan_range(clients))
    assert (action.state, action.message) == (ActionState.DONE, "4 of 4 nights verified.")
    assert world.nights_run == ["24", "26", "27", "28"]
    runs = [a for a in reversed(log(clients)) if a.action_name == "run.start"]
    assert [(a.target, a.state, a.actor) for a in runs] == [
        (f"2025-12-{day}", ActionState.DONE, OPERATOR.name) for day in (24, 26, 27, 28)
    ]
    assert runs[1].reason == f"Night 2 of 4 of the range 2025-12-24 to 2025-12-29, action {action.action_id}"
    assert find_unfinished_range(log(clients), clients.now()) is None


def test_it_stops_at_the_first_night_that_fails_and_resumes_there(world, clients):
    world.failing = ("2025-12-26",)
    action = run(clients, plan_range(clients))
    assert action.state is ActionState.FAILED
    assert "Fri 26 Dec 2025: failed. 8 of 10 active." in action.message
    assert "1 of 4 nights verified; resume at Fri 26 Dec 2025." in action.message
    assert world.nights_run == ["24", "26"], "nothing after the failure"
    unfinished = find_unfinished_range(log(clients), clients.now())
    assert unfinished is not None
    assert dict(unfinished.args) == {"first": "2025-12-26", "last": "2025-12-29", "scope": "lost"}
    world.failing = ()
    clients.clock.advance(60)
    assert run(clients, RUN_RANGE.plan(clients, unfinished.args)).state is ActionState.DONE
    assert world.nights_run == ["24", "26", "26", "27", "28"], "what is done is not run again"
    assert find_unfinished_range(log(clients), clients.now()) is None


def test_a_range_whose_process_was_killed_is_found_and_offered_at_its_next_night(world, clients):
    def die(night: str) -> None:
        if night == "2025-12-27":
            raise ProcessKilled

    world.before_run = die
    plan = plan_range(clients)
    with pytest.raises(ProcessKilled):
        run(clients, plan)
    [action] = [a for a in log(clients) if a.action_name == "run.range"]
    assert find_running_range(log(clients), clients.now()) == action
    assert find_unfinished_range(log(clients), clients.now()) is None, "its process may be alive"
    clients.clock.advance(600)
    assert find_running_range(log(clients), clients.now()) is None, "it blocks no other range"
    unfinished = find_unfinished_range(log(clients), clients.now())
    assert unfinished is not None
    assert unfinished.args["first"] == "2025-12-27"
    assert recover(clients, RUN_RANGE, action).state is ActionState.IN_PROGRESS, (
        "the night's own run has no outcome yet"
    )
    night = next(a for a in log(clients) if a.target == "2025-12-27")
    recover(clients, world.start_run, night)
    ended = recover(clients, RUN_RANGE, action)
    assert (ended.state, ended.message) == (
        ActionState.FAILED,
        "2 of 4 nights verified; resume at Sat 27 Dec 2025.",
    )
    world.before_run = lambda _: None
    assert run(clients, RUN_RANGE.plan(clients, unfinished.args)).state is ActionState.DONE
    assert world.nights_run == ["24", "26", "27", "28"]


def test_it_can_be_stopped_between_two_nights(world, clients):
    def stop(night: str) -> None:
        [action] = [a for a in log(clients) if a.action_name == "run.range"]
        if night == "2025-12-26":
            plan = STOP_RANGE.plan(clients, {"action_id": action.action_id})
            assert plan.failed_guards == ()
            execute(clients, OPERATOR, STOP_RANGE, plan, wait=False)

    world.before_run = stop
    action = run(clients, plan_range(clients))
    assert world.nights_run == ["24", "26"], "the night that runs goes on to its end"
    assert action.state is ActionState.FAILED
    assert f"Stopped before Sat 27 Dec 2025 by {OPERATOR.name}. 2 of 4 nights verified" in action.message
    [stopped] = [a for a in log(clients) if a.action_name == "run.stop_range"]
    assert recover(clients, STOP_RANGE, stopped).state is ActionState.DONE
    again = STOP_RANGE.plan(clients, {"action_id": action.action_id})
    assert [guard.name for guard in again.failed_guards] == ["in progress"], "what has ended cannot be stopped"
    with pytest.raises(InvalidInput, match="not a range"):
        STOP_RANGE.plan(clients, {"action_id": stopped.action_id})


def test_a_plan_that_is_old_is_refused_and_nothing_runs(world, clients):
    plan = plan_range(clients)
    world.missing["2025-12-27"] = ["somebody else"]
    with pytest.raises(ActionRefused, match="the state changed since the plan was built"):
        run(clients, plan)
    assert world.ran == []


def test_a_night_with_players_who_were_not_confirmed_ends_the_range(world, clients):
    def lose(night: str) -> None:
        if night == "2025-12-26":
            world.missing["2025-12-27"].append("new")

    world.before_run = lose
    action = run(clients, plan_range(clients))
    assert world.nights_run == ["24", "26"]
    assert "Sat 27 Dec 2025: 1 player more to re-run than were confirmed: new." in action.message


def test_a_night_that_somebody_repaired_meanwhile_is_not_run_and_counts_as_done(world, clients):
    def repair(night: str) -> None:
        if night == "2025-12-24":
            world.missing["2025-12-26"] = []

    world.before_run = repair
    action = run(clients, plan_range(clients))
    assert action.state is ActionState.DONE
    assert world.nights_run == ["24", "27", "28"]
    assert "Fri 26 Dec 2025: nobody is left to re-run." in [text for _, text in action.steps]


def test_a_night_that_cannot_run_now_blocks_the_range_with_its_name(world, clients):
    world.blocked["2025-12-27"] = "batch_x is running."
    plan = plan_range(clients)
    assert [guard.message for guard in plan.failed_guards] == ["Sat 27 Dec 2025: batch_x is running."]
    with pytest.raises(ActionRefused, match="Sat 27 Dec 2025: batch_x is running"):
        run(clients, plan)


def test_two_ranges_never_run_at_the_same_time(world, clients):
    def plan_another(night: str) -> None:
        if night == "2025-12-24":
            clients.clock.advance(120)  # nothing was recorded of it for two minutes
            other = plan_range(clients, "2025-12-20", "2025-12-21")
            assert [guard.name for guard in other.failed_guards] == ["no other range"]

    world.before_run = plan_another
    assert run(clients, plan_range(clients)).state is ActionState.DONE


def test_everybody_of_several_nights_has_to_be_confirmed_by_typing(world, clients):
    plan = plan_range(clients, "2025-12-28", "2025-12-29", scope="date")
    assert (plan.confirmation, plan.confirmation_text) == (Confirmation.TYPED, "2025-12-28 to 2025-12-29")
    with pytest.raises(ActionRefused, match="must be typed exactly"):
        run(clients, plan, reason="new model", confirmation="2025-12-28")
    action = run(clients, plan, reason="new model", confirmation="2025-12-28 to 2025-12-29")
    assert (action.state, world.nights_run) == (ActionState.DONE, ["28", "29"])


def test_a_range_of_complete_nights_has_nothing_to_do(world, clients):
    plan = plan_range(clients, "2025-12-29", "2025-12-29")
    assert [guard.message for guard in plan.failed_guards] == ["No night of the range has anybody to re-run."]


def test_what_a_night_records_is_read_back_from_its_range(world, clients):
    action = run(clients, plan_range(clients))
    found = read_action(clients, action.action_id)
    assert found is not None
    assert found.facts["after"]["next night"] == "none"
    assert len(found.facts["after"]["nights done"]) == 4


# --- what a range may be, and what its plan is made of ------------------------------------------------------------------------


def test_as_many_nights_as_a_range_may_have_are_planned(world, clients):
    assert len(plan_range(clients, LAST - timedelta(days=MAX_NIGHTS - 1), LAST).changes) == MAX_NIGHTS


def test_the_night_of_the_date_in_new_york_is_the_last_one():
    evening = datetime(2025, 12, 30, 2, 0, tzinfo=UTC)  # 21:00 ET on the 29th
    assert parse_range({"first": "2025-12-29", "last": "2025-12-29"}, evening) == (LAST, LAST, "lost")
    with pytest.raises(InvalidInput, match="2025-12-30 is in the future"):
        parse_range({"first": "2025-12-30", "last": "2025-12-30"}, evening)


def test_a_night_is_asked_for_as_its_own_button_asks():
    assert night_args(LAST, "lost") == {"game_date": "2025-12-29"}
    assert night_args(LAST, "date") == {"game_date": "2025-12-29", "scope": "date"}


def night(world: World, clients: Any, day: int, **changes: Any) -> Plan:
    return replace(world.plan(clients, {"game_date": f"2025-12-{day}"}), **changes)


def test_a_night_of_which_it_is_unknown_whether_anybody_is_missing_is_not_skipped(world, clients):
    unread = night(world, clients, 29, guards=(Guard("players to run", None, "The log cannot be read."),))
    assert why_skipped(unread) == ""
    plan = build_plan({LAST: unread}, "lost", None, NOW)
    assert [(guard.name, guard.ok) for guard in plan.failed_guards] == [("players to run, 2025-12-29", None)]


def test_one_night_that_has_to_be_typed_is_enough_and_one_that_is_skipped_is_not(world, clients):
    one_click = night(world, clients, 28)
    typed = {"confirmation": Confirmation.TYPED}
    several = {date(2025, 12, 27): night(world, clients, 27, **typed), date(2025, 12, 28): one_click}
    assert build_plan(several, "lost", None, NOW).confirmation is Confirmation.TYPED
    skipped = {date(2025, 12, 28): one_click, LAST: night(world, clients, 29, **typed)}
    assert build_plan(skipped, "lost", None, NOW).confirmation is Confirmation.ONE_CLICK


def test_a_plan_has_warnings_commands_and_guards_of_the_nights_to_run_alone(world, clients):
    days = (date(2025, 12, 28), LAST)
    nights = {day: night(world, clients, day.day, warnings=(f"w{day.day}",), commands=(f"c{day.day}",)) for day in days}
    plan = build_plan(nights, "lost", None, NOW)
    assert (plan.warnings, plan.commands) == (("Sun 28 Dec 2025: w28",), ("c28",))
    assert [guard.name for guard in plan.guards] == ["nights to run", "no other range"], "what holds is not repeated"
    assert list(plan.preconditions["nights"]) == ["2025-12-28"]
    assert plan.preconditions["nights"]["2025-12-28"]["plan"] == nights[days[0]].hash
    assert plan.figures[0].note == "of 2; 1 night complete or without games"
    assert build_plan({days[0]: nights[days[0]]}, "lost", None, NOW).figures[0].note.startswith("of 1; in order")


def test_a_night_without_a_count_of_eligible_players_is_planned_without_one(world, clients):
    plan = build_plan({LAST: night(world, clients, 28, coverage=None)}, "lost", None, NOW)
    assert plan.changes[0].before == "8 players, 200 rows active"
    assert plan.coverage == CoverageCount(0, 0)


# --- by the records -------------------------------------------------------------------------------------------------------


@pytest.fixture
def failed(world, clients):
    """A range whose second night failed; the newest action is itself."""
    world.failing = ("2025-12-26",)
    return run(clients, plan_range(clients))


def test_a_night_whose_run_is_not_proven_ends_the_range(world, clients):
    world.unproven = ("2025-12-26",)
    action = run(clients, plan_range(clients))
    assert world.nights_run == ["24", "26"]
    assert "Fri 26 Dec 2025: unverified." in action.message
    assert "1 of 4 nights verified" in action.message


def test_only_a_run_that_began_since_the_plan_makes_a_night_done(world, clients, failed):
    [done] = [a for a in log(clients) if a.action_name == "run.start" and a.state is ActionState.DONE]
    plan, first = failed.plan, date(2025, 12, 24)
    assert find_progress(plan, [done]).done == (first,)
    assert find_progress(plan, [replace(done, started_at=plan.planned_at)]).done == (first,)
    earlier = replace(done, started_at=plan.planned_at - timedelta(seconds=1))
    later = replace(done, started_at=done.started_at + timedelta(hours=1))
    others = (replace(done, action_name="staging.drop"), earlier)
    assert [find_progress(plan, [other]).done for other in others] == [(), ()]
    for state in (ActionState.REFUSED, ActionState.DENIED):
        assert find_progress(plan, [done, replace(later, state=state)]).done == (first,), "it never began"
    assert find_progress(plan, [replace(later, state=ActionState.FAILED), done]).done == (), "the newest run counts"


def test_a_range_is_offered_again_only_while_the_rest_of_it_is_not_done(world, clients, failed):
    actions, now = log(clients), clients.now()
    others = [a for a in actions if a.action_id != failed.action_id]
    for state in (ActionState.DONE, ActionState.REFUSED, ActionState.DENIED):
        assert find_unfinished_range([*others, replace(failed, state=state)], now) is None, state
    assert find_unfinished_range([*others, replace(failed, plan_json="{}")], now) is None
    assert find_unfinished_range((), now) is None
    [done] = [a for a in others if a.state is ActionState.DONE]
    all_done = [replace(done, target=night, started_at=now) for night in failed.plan.preconditions["nights"]]
    assert find_unfinished_range([failed, *all_done], now) is None
    complete = replace(failed, facts={"complete": ["2025-12-24", "2025-12-26"]})
    unfinished = find_unfinished_range([complete], now)
    assert unfinished is not None
    assert unfinished.args["first"] == "2025-12-27", "nobody was left to run in these nights"
    newer = replace(failed, started_at=now, state=ActionState.DONE)
    assert find_unfinished_range([failed, newer, *others], now) is None, "the newest range counts"


def test_a_stop_is_of_one_range_and_one_that_was_refused_stops_nothing(failed):
    stop = replace(failed, action_name="run.stop_range", target="range 1")
    assert stopped_by([stop], "range 1") == OPERATOR.name
    for other in (
        replace(stop, target="range 2"),
        replace(stop, action_name="run.range"),
        replace(stop, state=ActionState.REFUSED),
        replace(stop, state=ActionState.DENIED),
    ):
        assert stopped_by([other], "range 1") == ""


def test_of_many_players_who_were_not_confirmed_five_are_named(world, clients):
    def lose(night: str) -> None:
        if night == "2025-12-26":
            world.missing["2025-12-27"] += [f"new{number}" for number in range(6)]

    world.before_run = lose
    assert (
        "6 players more to re-run than were confirmed: new0, new1, new2, new3, new4 …."
        in run(clients, plan_range(clients)).message
    )


# --- the stop of a range --------------------------------------------------------------------------------------------------


@pytest.fixture
def stop_plan(world, clients):
    """The plan to stop a range whose second night runs."""

    def die(night: str) -> None:
        if night == "2025-12-26":
            raise ProcessKilled

    world.before_run = die
    with pytest.raises(ProcessKilled):
        run(clients, plan_range(clients))
    [action] = [a for a in log(clients) if a.action_name == "run.range"]
    return STOP_RANGE.plan(clients, {"action_id": action.action_id})


@pytest.mark.parametrize(("max_wait_s", "advance_s", "sleeps"), [(1e6, 100, 2), (15.0, 0, 3)])
def test_a_stop_waits_until_nothing_runs_the_range_and_not_for_ever(
    clients, stop_plan, monkeypatch, max_wait_s, advance_s, sleeps
):
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        assert len(waits) < 10
        clients.clock.advance(advance_s)

    monkeypatch.setattr(range_actions, "time", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(range_actions, "POLL_INTERVAL_S", 5.0)
    monkeypatch.setattr(range_actions, "MAX_WAIT_S", max_wait_s)
    context: Any = SimpleNamespace(clients=clients, plan=stop_plan)
    assert STOP_RANGE.follow is not None
    STOP_RANGE.follow(context, {})
    assert len(waits) == sleeps


def test_a_stop_is_done_once_nothing_runs_the_range(clients, stop_plan, monkeypatch):
    running = STOP_RANGE.verify(clients, stop_plan, {})
    assert running.state is ActionState.IN_PROGRESS
    assert "The range ends after the night that runs. Night 2 of 4, Fri 26 Dec 2025: " in running.message
    action = read_action(clients, stop_plan.target)
    assert action is not None
    for changes, text in (({"message": "Alive."}, "Night 2 of 4"), ({"message": "Begun.", "steps": ()}, "Begun.")):
        changed = replace(action, **changes)
        monkeypatch.setattr(range_actions, "read_action", lambda *_, found=changed: found)
        assert text in STOP_RANGE.verify(clients, stop_plan, {}).message
    monkeypatch.setattr(range_actions, "read_action", read_action)
    clients.clock.advance(600)
    lost = STOP_RANGE.verify(clients, stop_plan, {})
    assert (lost.state, lost.message) == (ActionState.DONE, "Nothing runs it.")
    again = STOP_RANGE.plan(clients, {"action_id": stop_plan.target})
    assert [guard.name for guard in again.failed_guards] == ["in progress"], "its process is gone"


def test_an_id_that_is_in_no_log_is_no_range(clients):
    with pytest.raises(InvalidInput, match="is not a range") as refused:
        STOP_RANGE.plan(clients, {"action_id": "x" * 500})
    assert len(refused.value.message) < 120
