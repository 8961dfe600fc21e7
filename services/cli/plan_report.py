"""A plan and an outcome as reports: what would change, what stops it, how it is undone, and the command that applies it."""

from __future__ import annotations

import json

from services.actions.log_reader import Action, ActionState
from services.actions.plan import Change, Confirmation, Plan, plan_to_json
from services.cli.record_reports import action_row
from services.cli.report import Report, Table
from services.core.result import Health
from services.core.text import pluralize

MAX_CHANGES = 20  # of a plan that are listed without --all
_WORD_BY_OK = {True: "passed", False: "failed", None: "unknown"}
_HEALTH_BY_STATE = {
    ActionState.DONE: Health.OK,
    ActionState.FAILED: Health.CRITICAL,
    ActionState.REFUSED: Health.WARNING,
    ActionState.DENIED: Health.WARNING,
}


def plan_report(plan: Plan, apply_command: str, list_all: bool) -> Report:
    """What an action would do. `apply_command` is what carries it out."""
    blocked = [guard for guard in plan.failed_guards if guard.ok is False]
    health = Health.WARNING if blocked else Health.UNKNOWN if plan.failed_guards else Health.OK
    changes = plan.changes if list_all else plan.changes[:MAX_CHANGES]
    shown: list[Table] = []
    if plan.figures:
        rows = tuple({"figure": f.label, "before": f.before, "after": f.after, "note": f.note} for f in plan.figures)
        shown.append(Table("figures", rows, ""))
    if plan.changes or not plan.figures:
        shown.append(Table("changes", tuple(map(_change_row, changes)), "Nothing would change."))
    guards = sorted(plan.guards, key=lambda guard: guard.ok is True)
    rows = tuple({"check": g.name, "result": _WORD_BY_OK[g.ok], "detail": g.message} for g in guards)
    shown.append(Table("guards", rows, "No check is needed."))
    return Report(
        f"Plan {plan.hash}: nothing has been changed.",
        health,
        plan.title,
        tuple(_details(plan, apply_command, len(plan.changes) - len(changes), list_all)),
        tuple(shown),
        (),
        plan.sources,
        label="BLOCKED" if plan.failed_guards else "PLAN",
        facts={"hash": plan.hash, "apply": apply_command, "plan": json.loads(plan_to_json(plan))},
    )


def _change_row(change: Change) -> dict[str, object]:
    return {"change": change.what, "before": change.before, "after": change.after}


def _details(plan: Plan, apply_command: str, hidden: int, list_all: bool) -> list[str]:
    lines = [f"Blocked: {guard.message}" for guard in plan.failed_guards]
    lines += [f"Warning: {text}" for text in plan.warnings]
    lines += [f"For it: {text}" for text in plan.evidence]
    lines += [f"Undo: {plan.undo}", *([f"Cost: {plan.cost}"] if plan.cost else [])]
    if list_all:
        lines += [f"CLI: {command}" for command in plan.commands]
    if hidden:
        lines.append(f"{pluralize(hidden, 'more change')}: --all lists every one.")
    if not plan.failed_guards:
        lines.append(f"Apply: {apply_command}")
        if plan.confirmation is Confirmation.TYPED:
            lines.append(f"It needs a --reason, and --confirm with exactly: {plan.confirmation_text}")
    return lines


def outcome_report(action: Action, is_earlier: bool) -> Report:
    """What came of an action, as the action log has it; `is_earlier`: it was begun by another call, and this one ran nothing."""
    ended = action.ended_at is not None
    return Report(
        f"Action {action.action_id}",
        _HEALTH_BY_STATE.get(action.state, Health.UNKNOWN) if ended else Health.UNKNOWN,
        f"{action.title}: {action.message if ended else 'no outcome is recorded'}",
        ("It had been applied already: nothing was run again.",) if is_earlier else (),
        (Table("action", (action_row(action),), ""),),
        label=action.state.word.upper(),
    )
