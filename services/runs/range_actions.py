"""Runs several nights one after the other, each as its own recorded and verified run, and stops between two of them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import date, timedelta

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.executor import execute
from services.actions.log_reader import Action, ActionState, read_action, read_action_log
from services.actions.plan import TITLE_SEPARATOR, Change, Guard, Params, Plan
from services.core.clock import format_day
from services.core.errors import InvalidInput, OnCallError
from services.core.sources import ACTIONS, RUN
from services.core.text import pluralize
from services.gcp.clients import Clients
from services.runs.actions import MAX_WAIT_S, POLL_INTERVAL_S, START_RUN
from services.runs.night_range import (
    MAX_NIGHTS,
    RANGE_NAME,
    STOP_RANGE_NAME,
    RangeProgress,
    find_progress,
    night_args,
    plan_range,
    stopped_by,
    why_skipped,
)

_CLOCK_SKEW = timedelta(minutes=1)


class RangeStopped(OnCallError):
    """A range ended before its last night."""


def _read_actions(clients: Clients, plan: Plan) -> tuple[Action, ...]:
    """The actions since the plan of a range was made."""
    return read_action_log(clients, plan.planned_at - _CLOCK_SKEW, clients.now() + _CLOCK_SKEW).actions


def _run_nights(context: ActionContext) -> Details:
    """Each night by the executor, as its own button would; the records of these runs say which nights are done."""
    nights, complete = sorted(context.plan.preconditions["nights"]), list[str]()
    for position, night in enumerate(nights, start=1):
        game_date = date.fromisoformat(night)
        day = format_day(game_date)
        if stopper := stopped_by(_read_actions(context.clients, context.plan), context.action_id):
            raise RangeStopped(f"Stopped before {day} by {stopper}.")
        plan = START_RUN.plan(context.clients, night_args(game_date, context.plan.args["scope"]))
        if why_skipped(plan):
            complete.append(night)
            context.report_progress(f"{day}: nobody is left to re-run.", complete=list(complete))
            continue
        _require_confirmed(day, plan, context.plan.preconditions["nights"][night]["players"])
        context.report_progress(f"Night {position} of {len(nights)}, {day}: {plan.operation}.")
        reason = f"Night {position} of {len(nights)} of the range {context.plan.target}, action {context.action_id}"
        action = execute(context.clients, context.actor, START_RUN, plan, reason, plan.confirmation_text)
        if action.state is not ActionState.DONE:
            raise RangeStopped(f"{day}: {action.state.word}. {action.message}")
    return {}


def _require_confirmed(day: str, plan: Plan, confirmed: Iterable[str]) -> None:
    """Raise RangeStopped where a night's run would now ask for players who were not among those that were confirmed."""
    added = sorted(set(plan.preconditions["lost"]) - set(confirmed))
    if added:
        raise RangeStopped(
            f"{day}: {pluralize(len(added), 'player')} more to re-run than were"
            f" confirmed: {', '.join(added[:5])}{' …' if len(added) > 5 else ''}."
        )


def _verify(clients: Clients, plan: Plan, details: Details) -> Verification:
    """Done when the run of each night is recorded as done, which is its own verification."""
    progress = find_progress(plan, _read_actions(clients, plan), details.get("complete", ()))
    after = {"nights done": [day.isoformat() for day in progress.done], "next night": str(progress.next or "none")}
    text = describe_progress(progress)
    if progress.next is None:
        return Verification(ActionState.DONE, f"{text}.", after)
    if progress.in_progress is not None:
        return Verification(ActionState.IN_PROGRESS, f"{text}; {format_day(progress.in_progress)} is running.", after)
    return Verification(ActionState.FAILED, f"{text}; resume at {format_day(progress.next)}.", after)


def describe_progress(progress: RangeProgress) -> str:
    """How many nights are verified: "2 of 6 nights verified"."""
    return f"{len(progress.done)} of {pluralize(len(progress.nights), 'night')} verified"


def _plan_stop(clients: Clients, args: Params) -> Plan:
    """Stop the range that `action_id` is, before its next night."""
    action_id = str(args.get("action_id") or "")
    action = read_action(clients, action_id)
    if action is None or action.action_name != RANGE_NAME:
        raise InvalidInput(f"{action_id[:80]!r} is not a range of nights.", "Its id is in the action log.")
    in_progress = action.is_running(clients.now())
    return Plan(
        action_name=STOP_RANGE_NAME,
        target=action_id,
        title=f"Stop range{TITLE_SEPARATOR}{action.target}",
        args={"action_id": action_id},
        preconditions={"in progress": in_progress},
        changes=(
            Change("range", "in progress", "stopped before its next night; the run of a night goes on to its end"),
        ),
        guards=(Guard("in progress", in_progress, f"The range is {action.state.word}."),),
        planned_at=clients.now(),
        undo="Resume the range: it goes on with the first night that is not done.",
        cost="No cost.",
    )


def _stop(_context: ActionContext) -> Details:
    return {}  # the range reads this action's record between two nights


def _follow_stop(context: ActionContext, _details: Details) -> None:
    """Wait until the range has ended, which the run of a night may delay."""
    waited_s = 0.0
    while waited_s < MAX_WAIT_S and _in_progress(context.clients, context.plan) is not None:
        time.sleep(POLL_INTERVAL_S)
        waited_s += POLL_INTERVAL_S


def _in_progress(clients: Clients, plan: Plan) -> Action | None:
    action = read_action(clients, plan.target)
    return action if action is not None and action.is_running(clients.now()) else None


def _verify_stop(clients: Clients, plan: Plan, _details: Details) -> Verification:
    if (action := _in_progress(clients, plan)) is not None:
        step = action.steps[-1][1] if action.steps else action.message
        return Verification(ActionState.IN_PROGRESS, f"The range ends after the night that runs. {step}")
    ended = read_action(clients, plan.target)
    return Verification(ActionState.DONE, ended.message if ended is not None and ended.ended_at else "Nothing runs it.")


RUN_RANGE = ActionType(
    RANGE_NAME, f"Re-run up to {MAX_NIGHTS} nights", plan_range, _run_nights, _verify, RUN | {ACTIONS}
)
STOP_RANGE = ActionType(
    STOP_RANGE_NAME, "Stop range", _plan_stop, _stop, _verify_stop, frozenset((ACTIONS,)), follow=_follow_stop
)
