"""Several nights to re-run, one after the other: what of each, which of them are done by the records, and where a range resumes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from services.actions.log_reader import Action, ActionState, read_action_log
from services.actions.plan import (
    TITLE_SEPARATOR,
    Change,
    Confirmation,
    CoverageCount,
    Figure,
    Guard,
    Params,
    Plan,
    PlanNotReadable,
)
from services.core.clock import eastern_day, format_day, list_days
from services.core.errors import InvalidInput
from services.core.text import pluralize
from services.gcp.clients import Clients
from services.runs.actions import START_RUN

RANGE_NAME, STOP_RANGE_NAME = "run.range", "run.stop_range"
MAX_NIGHTS = 14  # the plan reads each of them, some 50 MiB, twice; and each may run for an hour
SCOPES = ("lost", "date")
_NOT_BEGUN = (ActionState.REFUSED, ActionState.DENIED)
_SKIPPED = {"games": "no games", "players to run": "complete: nobody to re-run"}  # by the guard of a night's own plan


Nights = Mapping[date, Plan]  # the nights of a range, in order, each with the plan of its own run


def parse_range(args: Params, now: datetime) -> tuple[date, date, str]:
    """The first night, the last and the scope; raises InvalidInput with what is wrong with them."""
    first, last = _parse_date(args.get("first")), _parse_date(args.get("last"))
    scope = str(args.get("scope") or "lost")
    if scope not in SCOPES:
        raise InvalidInput(f"{scope[:40]!r} is not a scope of a run.", "Use lost or date.")
    if last < first:
        raise InvalidInput(f"The range ends on {last}, before it begins on {first}.", "Swap the two dates.")
    if (count := (last - first).days + 1) > MAX_NIGHTS:
        raise InvalidInput(
            f"{first} to {last} are {count:,} nights; a range has at most {MAX_NIGHTS}.", "Run it in parts."
        )
    if last > eastern_day(now):
        raise InvalidInput(f"{last} is in the future.", f"The last night is {eastern_day(now)} at most.")
    return first, last, scope


def _parse_date(value: object) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise InvalidInput(f"{str(value)[:40]!r} is not a game date.", "Expected YYYY-MM-DD.") from None


def night_args(day: date, scope: str) -> dict[str, Any]:
    """The arguments of a night's own run, as its button has them."""
    return {"game_date": day.isoformat(), **({"scope": scope} if scope == "date" else {})}


def why_skipped(plan: Plan) -> str:
    """Why a night of a range is not run though nothing is wrong with it; "" where it is."""
    failed = {guard.name for guard in plan.failed_guards if guard.ok is False}
    return next((text for name, text in _SKIPPED.items() if name in failed), "")


def select_to_run(nights: Nights) -> dict[date, Plan]:
    """The nights with somebody to run."""
    return {day: plan for day, plan in nights.items() if not why_skipped(plan)}


def plan_range(clients: Clients, args: Params) -> Plan:
    """Re-run the nights from `first` to `last`: with scope lost who is missing, with scope date everybody."""
    first, last, scope = parse_range(args, clients.now())
    days = list_days(first, last)
    nights = {day: START_RUN.plan(clients, night_args(day, scope)) for day in days}
    others = read_action_log(clients, clients.now() - timedelta(days=1), clients.now() + timedelta(minutes=1)).actions
    return build_plan(nights, scope, find_running_range(others, clients.now()), clients.now())


def build_plan(nights: Nights, scope: str, running: Action | None, now: datetime) -> Plan:
    """The plan of a range from the plans of its nights. Pure."""
    first, last, to_run = min(nights), max(nights), select_to_run(nights)
    typed = any(plan.confirmation is Confirmation.TYPED for plan in to_run.values())
    coverage = [plan.coverage for plan in nights.values() if plan.coverage is not None]
    billed = sum(source.bytes_billed for plan in nights.values() for source in plan.sources)
    return Plan(
        action_name=RANGE_NAME,
        target=f"{first} to {last}",
        title=f"Re-run {pluralize(len(to_run), 'night')}{TITLE_SEPARATOR}{format_day(first)} to {format_day(last)}",
        args={"first": first.isoformat(), "last": last.isoformat(), "scope": scope},
        preconditions={
            "nights": {
                day.isoformat(): {"plan": plan.hash, "players": sorted(plan.preconditions.get("lost", ()))}
                for day, plan in to_run.items()
            }
        },
        figures=tuple(_figures(nights)),
        changes=tuple(_change(day, plan) for day, plan in nights.items()),
        item="night",
        guards=tuple(_guards(nights, running)),
        planned_at=now,
        undo="No one-click undo. Nothing is deleted; BigQuery time travel keeps the previous state for 7 days.",
        cost=f"{pluralize(len(to_run), 'run')}, the earliest night first, each with 1 count and 1 MERGE over its date."
        f" It stops at the first that fails. This plan billed {billed / 2**20:,.0f} MiB.",
        confirmation=Confirmation.TYPED if typed else Confirmation.ONE_CLICK,
        confirmation_text=f"{first} to {last}" if typed else "",
        warnings=tuple(f"{format_day(day)}: {text}" for day, plan in to_run.items() for text in plan.warnings),
        commands=tuple(command for plan in to_run.values() for command in plan.commands),
        coverage=CoverageCount(sum(c.active for c in coverage), sum(c.eligible for c in coverage)),
        sources=tuple(source for plan in nights.values() for source in plan.sources),
    )


def _figures(nights: Nights) -> Iterator[Figure]:
    to_run, total = select_to_run(nights), len(nights)
    skipped = total - len(to_run)
    note = f"{pluralize(skipped, 'night')} complete or without games" if skipped else "in order, one after the other"
    yield Figure("Nights to re-run", f"{len(to_run)}", f"{len(to_run)}", f"of {total}; {note}")
    for label in ("Active players", "Active rows"):
        found = [figure for plan in to_run.values() for figure in plan.figures if figure.label == label]
        before, after = (
            sum(int(text.replace(",", "")) for text in column)
            for column in ([figure.before for figure in found], [figure.after for figure in found])
        )
        yield Figure(label, f"{before:,}", f"{after:,}", f"+{after - before:,} over {pluralize(len(to_run), 'night')}")


def _change(day: date, plan: Plan) -> Change:
    figures = {figure.label: figure for figure in plan.figures}
    players, rows = figures["Active players"], figures["Active rows"]
    eligible = f" of {plan.coverage.eligible:,}" if plan.coverage else ""
    now = f"{players.before}{eligible} players, {rows.before} rows active"
    after = why_skipped(plan) or f"{plan.operation}: {players.after}{eligible} players, {rows.after} rows active"
    return Change(format_day(day), now, after)


def _guards(nights: Nights, running: Action | None) -> Iterator[Guard]:
    to_run = select_to_run(nights)
    yield Guard(
        "nights to run",
        bool(to_run),
        f"{pluralize(len(to_run), 'night')} to re-run." if to_run else "No night of the range has anybody to re-run.",
    )
    yield Guard(
        "no other range",
        running is None,
        "No other range is in progress." if running is None else f"A range is in progress: {running.title}.",
    )
    for day, plan in to_run.items():
        for guard in plan.guards:
            if guard.ok is not True:
                yield Guard(f"{guard.name}, {day}", guard.ok, f"{format_day(day)}: {guard.message}")


# --- by the records -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RangeProgress:
    """The nights of a range by the runs that the action log has: `done` are verified; `next` is where it goes on."""

    nights: tuple[date, ...]
    done: tuple[date, ...]
    in_progress: date | None

    @property
    def next(self) -> date | None:
        """The first night that is not done; None when all are."""
        return next((day for day in self.nights if day not in self.done), None)


def find_progress(plan: Plan, actions: Iterable[Action], complete: Iterable[str] = ()) -> RangeProgress:
    """How far a range is: each night by the newest run of it since the plan. `complete` had nobody to run when their turn came."""
    runs = sorted(
        (a for a in actions if a.action_name == START_RUN.name and a.state not in _NOT_BEGUN),
        key=lambda a: a.started_at,
    )
    newest = {action.target: action for action in runs if action.started_at >= plan.planned_at}
    nights = tuple(sorted(date.fromisoformat(night) for night in plan.preconditions["nights"]))
    found = {day: newest.get(day.isoformat()) for day in nights}
    done = tuple(d for d, a in found.items() if (a and a.state is ActionState.DONE) or d.isoformat() in set(complete))
    running = next((day for day, action in found.items() if action and action.ended_at is None), None)
    return RangeProgress(nights, done, running)


def find_running_range(actions: Iterable[Action], now: datetime) -> Action | None:
    """The range that a process works on."""
    return next((a for a in _ranges(actions) if a.is_running(now)), None)


@dataclass(frozen=True)
class UnfinishedRange:
    """A range that ended, or lost its process, before its last night; `args` are those of the range that goes on with it."""

    action: Action
    progress: RangeProgress
    args: Mapping[str, str]


def find_unfinished_range(actions: Iterable[Action], now: datetime) -> UnfinishedRange | None:
    """The newest range, where it stopped before its end and no run has done the rest since; None otherwise. Pure."""
    log = tuple(actions)
    newest = max(_ranges(log), key=lambda a: a.started_at, default=None)
    if newest is None or newest.state is ActionState.DONE or newest.is_running(now):
        return None
    try:
        plan = newest.plan
    except PlanNotReadable:
        return None  # the action log says so
    progress = find_progress(plan, log, newest.facts.get("complete", ()))
    if progress.next is None:
        return None
    return UnfinishedRange(newest, progress, {**plan.args, "first": progress.next.isoformat()})


def _ranges(actions: Iterable[Action]) -> Iterator[Action]:
    return (a for a in actions if a.action_name == RANGE_NAME and a.state not in _NOT_BEGUN)


def stopped_by(actions: Iterable[Action], range_id: str) -> str:
    """Who asked to stop a range; "" when nobody did."""
    stops = (a for a in actions if a.action_name == STOP_RANGE_NAME and a.target == range_id)
    return next((action.actor for action in stops if action.state not in _NOT_BEGUN), "")
