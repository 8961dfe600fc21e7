"""Undoes saved alias edits: every row as it was before, unless it has been changed since."""

from __future__ import annotations

from collections.abc import Sequence

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState, read_action
from services.actions.plan import Change, Guard, Params, Plan
from services.aliases.edits import from_params
from services.aliases.reject import REJECT_MATCH
from services.aliases.save import EDIT_ALIASES, format_row_state, snapshot, touched_names, write_rows
from services.aliases.validation import Severity, new_violations
from services.core.errors import InvalidInput
from services.core.sources import ALIASES
from services.core.text import pluralize
from services.gcp.clients import Clients
from services.names.registry import Alias, NameRegistry, read_registry

UNDOABLE_ACTIONS = (EDIT_ALIASES.name, REJECT_MATCH.name)


def plan_undo(clients: Clients, args: Params) -> Plan:
    """Every alias row that an edit changed, back to what it was; refused where it has been changed since."""
    action = read_action(clients, str(args.get("action_id") or ""))
    if action is None or action.action_name not in UNDOABLE_ACTIONS or action.state is not ActionState.DONE:
        raise InvalidInput("That action saved no alias changes to undo.", "Open it in the action log.")
    edits, registry = from_params(action.plan.args), read_registry(clients)
    current_rows, rows_after_edit = snapshot(registry, edits), action.facts.get("after") or {}
    names = [f"{edit.alias} → {edit.canonical}" for edit in edits]
    unchanged = [name for name in names if current_rows.get(name) == rows_after_edit.get(name)]
    restored = _with_previous_rows(registry, action.plan.preconditions, names)
    known_keys = action.facts.get("faults") or ()  # a violation that predates the edit returns with the row it concerns
    violations = new_violations(registry, restored)
    new_errors = [v for v in violations if v.severity is Severity.ERROR and v.key not in known_keys]
    return Plan(
        action_name="aliases.undo",
        target=action.action_id,
        title=f"Undo {pluralize(len(names), 'alias change')}",
        args={"action_id": action.action_id},
        preconditions=current_rows,
        changes=tuple(
            Change(n, format_row_state(current_rows.get(n)), format_row_state(action.plan.preconditions.get(n)))
            for n in names
        ),
        guards=(
            Guard(
                "unchanged since",
                len(unchanged) == len(names),
                f"{len(unchanged)} of {len(names)} unchanged since that action.",
            ),
            *(Guard(v.check, False, v.message) for v in new_errors),
        ),
        planned_at=clients.now(),
        undo="Save the same changes again.",
        cost="One MERGE on player_aliases.",
        warnings=tuple(v.message for v in violations if v not in new_errors),
        sources=registry.sources,
    )


def _with_previous_rows(registry: NameRegistry, previous_rows: Details, names: Sequence[str]) -> NameRegistry:
    untouched_rows = tuple(row for row in registry.aliases if f"{row.alias} → {row.canonical}" not in names)
    restored_rows = tuple(Alias(**previous_rows[name]) for name in names if previous_rows.get(name))
    return NameRegistry(untouched_rows + restored_rows, registry.registered)


def _undo(context: ActionContext) -> Details:
    action = read_action(context.clients, context.plan.args["action_id"])
    previous_rows: Details = action.plan.preconditions if action else {}
    edits = from_params(action.plan.args) if action else ()
    rows = [
        previous_rows.get(f"{e.alias} → {e.canonical}")
        or {"alias": e.alias, "canonical": e.canonical, "delete_row": True}
        for e in edits
    ]
    write_rows(context, rows, touched_names(edits))
    return {"undone": [change.what for change in context.plan.changes]}


def _verify_undo(clients: Clients, plan: Plan, _details: Details) -> Verification:
    action = read_action(clients, plan.args["action_id"])
    previous_rows: Details = action.plan.preconditions if action else {}
    current_rows = snapshot(read_registry(clients), from_params(action.plan.args) if action else ())
    names = [change.what for change in plan.changes]
    restored = [name for name in names if current_rows.get(name) == previous_rows.get(name)]
    state = ActionState.DONE if len(restored) == len(names) else ActionState.FAILED
    return Verification(
        state, f"{len(restored)} of {len(names)} rows restored.", {n: current_rows.get(n) for n in names}
    )


UNDO_EDIT = ActionType("aliases.undo", "Restore aliases", plan_undo, _undo, _verify_undo, frozenset((ALIASES,)))
