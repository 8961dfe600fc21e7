"""A merge of two identities taken back, whole or stopped halfway: the registry's ids and the aliases exactly as they were before."""

from __future__ import annotations

from typing import Any

from services.actions.log_reader import Action, ActionState, read_action
from services.actions.plan import Change, Guard, Plan
from services.actions.verb import ActionContext, ActionType, Details, Verification
from services.aliases.edits import Edit
from services.aliases.identities.merge import (
    MERGE_IDENTITIES,
    creating_action_id,
    edits_from_plan,
    find_alias_row,
    reassign_player_id,
    registry_rows,
)
from services.aliases.save import snapshot, touched_names, write_rows
from services.core.errors import InvalidInput
from services.gcp.clients import Clients
from services.names.registry import NameRegistry, read_registry

UNDOABLE_STATES = (
    ActionState.DONE,
    ActionState.FAILED,
    ActionState.UNVERIFIED,
)  # what may have left something to take back


def plan_undo_merge(clients: Clients, args: Details) -> Plan:
    """Two identities again: exactly the rows that the merge changed get their id back, and its aliases go."""
    action = _find_merge(clients, args)
    registry, preconditions = read_registry(clients), action.plan.observed
    keep_id, merge_id = action.plan.args["keep"], action.plan.args["merge"]
    kept_rows, merged_rows = registry_rows(registry, keep_id), registry_rows(registry, merge_id)
    rows_to_restore = [row for row in preconditions["rows"] if row in kept_rows and row not in merged_rows]
    alias_states = _read_alias_states(clients, registry, action)
    changed_aliases = [
        name for name, (_, original_row, current_row) in alias_states.items() if original_row != current_row
    ]
    modified_since = [name for name in changed_aliases if not _created_by_merge(alias_states[name][2])]
    missing_rows = [row for row in preconditions["rows"] if row not in kept_rows and row not in merged_rows]
    return Plan(
        verb="registry.undo_merge",
        target=action.action_id,
        title=f"Separate {merge_id} from {keep_id} again",
        args={"action_id": action.action_id},
        observed={"rows": kept_rows, "other": merged_rows, **snapshot(registry, edits_from_plan(preconditions))},
        changes=(
            *(Change(f"registry: {row}", keep_id, merge_id) for row in rows_to_restore),
            *(Change(f"alias {n}", "active", _format_row_state(alias_states[n][1])) for n in changed_aliases),
        ),
        guards=(
            Guard("there is something", bool(rows_to_restore or changed_aliases), f"{len(rows_to_restore)} registry rows and {len(changed_aliases)} aliases of it are there."),
            Guard("rows are there", not missing_rows, f"{len(preconditions['rows']) - len(missing_rows)} of {len(preconditions['rows'])} merged rows are there."),
            Guard("aliases unchanged since", not modified_since, "The aliases are as the merge left them." if not modified_since
                  else f"{modified_since[0]} was changed since: take that back first."),
        ),
        planned_at=clients.now(),
        undo="Merge them once more.",
        cost="Two statements on two small tables.",
        sources=registry.sources,
    )  # fmt: skip


def _find_merge(clients: Clients, args: Details) -> Action:
    action = read_action(clients, str(args.get("action_id") or ""))
    if action is None or action.verb != MERGE_IDENTITIES.name or action.state not in UNDOABLE_STATES:
        raise InvalidInput(
            "That action has merged no identities that could be separated.", "Open it in the action log."
        )
    return action


def _read_alias_states(clients: Clients, registry: NameRegistry, action: Action) -> dict[str, tuple[Edit, Any, Any]]:
    """Each alias of the merge: how it stood before the first try, and how it stands now."""
    states = {}
    for edit in edits_from_plan(action.plan.observed):
        name, current_row = f"{edit.alias} → {edit.canonical}", find_alias_row(registry, edit)
        creator_id = creating_action_id(current_row)
        first_attempt = read_action(clients, creator_id) if creator_id and creator_id != action.action_id else action
        states[name] = (edit, (first_attempt or action).plan.observed.get(name), current_row)
    return states


def _created_by_merge(row: Any) -> bool:
    return bool(row and row["active"] and creating_action_id(row))


def _format_row_state(row: Any) -> str:
    return "not there" if not row else "active" if row["active"] else "inactive"


def _split(context: ActionContext) -> Details:
    action = _find_merge(context.clients, context.plan.args)
    preconditions, merge_params = action.plan.observed, action.plan.args
    alias_states = _read_alias_states(context.clients, read_registry(context.clients), action)
    original_rows = {
        name: original_row
        for name, (_, original_row, current_row) in alias_states.items()
        if original_row != current_row
    }
    context.report_progress(
        "The registry comes first, then the aliases.",
        before={name: original_row for name, (_, original_row, _) in alias_states.items()},
    )
    rows = [row for row in preconditions["rows"] if row not in context.plan.observed["other"]]
    reassign_player_id(context, rows, merge_params["keep"], merge_params["merge"])
    edits = [alias_states[name][0] for name in original_rows]
    if edits:
        deletions = [{"alias": e.alias, "canonical": e.canonical, "delete_row": True} for e in edits]
        write_rows(
            context,
            [original_rows[n] or deletion for n, deletion in zip(original_rows, deletions, strict=True)],
            touched_names(edits_from_plan(preconditions)),
        )
    return {}


def _verify_split(clients: Clients, plan: Plan, details: Details) -> Verification:
    action, registry = _find_merge(clients, plan.args), read_registry(clients)
    preconditions, merge_params = action.plan.observed, action.plan.args
    registry_restored = (
        registry_rows(registry, merge_params["merge"]),
        registry_rows(registry, merge_params["keep"]),
    ) == (preconditions["rows"], preconditions["kept rows"])
    original_rows = details.get("before")
    unrestored_aliases = [
        e.alias
        for e in edits_from_plan(preconditions)
        if original_rows is None or find_alias_row(registry, e) != original_rows[f"{e.alias} → {e.canonical}"]
    ]
    if registry_restored and not unrestored_aliases:
        return Verification(
            ActionState.DONE,
            "The registry and the aliases are as they were before the merge.",
            {"rows": preconditions["rows"]},
        )
    message = f"Half done: the registry is {'' if registry_restored else 'not '}as it was before, {len(unrestored_aliases)} aliases are not. Separate them again."
    return Verification(ActionState.FAILED, message, {"rows": registry_rows(registry, merge_params["merge"])})


UNDO_MERGE = ActionType("registry.undo_merge", "Separate again", plan_undo_merge, _split, _verify_split)
