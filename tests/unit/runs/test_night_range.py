"""Several nights in one range: what is refused, that each night is its own run, and that a range stops and goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.actions.action_type import ActionType, Verification
from services.actions.executor import ActionRefused, execute, recover
from services.actions.log_reader import ActionState, read_action, read_action_log
from services.actions.plan import Confirmation, CoverageCount, Figure, Guard, Plan
from services.core.errors import InvalidInput
from services.runs import night_range, range_actions
from services.runs.night_range import MAX_NIGHTS, find_running_range, find_unfinished_range
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
