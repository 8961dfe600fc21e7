"""Undoes a merge of two identities, whole or stopped halfway: registry ids and aliases exactly as they were before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import Action, ActionState, read_action
from services.actions.plan import Change, Guard, Params, Plan
from services.aliases.edits import Edit
from services.aliases.identities.merge import (
    MERGE_IDENTITIES,
    creating_action_id,
    edits_from_plan,
    find_alias_row,
    reassign_player_id,
    registry_rows,
)
from services.aliases.save import format_row_state, snapshot, touched_names, write_rows
from services.core.errors import InvalidInput
from services.core.sources import ALIASES, REGISTRY
from services.gcp.clients import Clients
from services.names.registry import AliasRecord, NameRegistry, read_registry

# States in which a merge may have left something to undo.
UNDOABLE_STATES = (ActionState.DONE, ActionState.FAILED, ActionState.UNVERIFIED)


def plan_undo_merge(clients: Clients, args: Params) -> Plan:
    """Plans two identities again: exactly the rows that the merge changed get their id back, and its aliases are removed."""
    action = _find_merge(clients, args)
    registry, preconditions = read_registry(clients), action.plan.preconditions
    keep_id, merge_id = action.plan.args["keep"], action.plan.args["merge"]
    kept_rows, merged_rows = registry_rows(registry, keep_id), registry_rows(registry, merge_id)
    rows_to_restore = [row for row in preconditions["rows"] if row in kept_rows and row not in merged_rows]
    alias_states = _read_alias_states(clients, registry, action)
    changed_aliases = [name for name, state in alias_states.items() if state.original != state.current]
    modified_since = [name for name in changed_aliases if not _created_by_merge(alias_states[name].current)]
    missing_rows = [row for row in preconditions["rows"] if row not in kept_rows and row not in merged_rows]
    merged_count = len(preconditions["rows"])
    return Plan(
        action_name="registry.undo_merge",
        target=action.action_id,
        title=f"Undo merge of {merge_id} into {keep_id}",
        args={"action_id": action.action_id},
        preconditions={"rows": kept_rows, "other": merged_rows, **snapshot(registry, edits_from_plan(preconditions))},
        changes=(
            *(Change(f"registry: {row}", keep_id, merge_id) for row in rows_to_restore),
            *(Change(f"alias {n}", "active", format_row_state(alias_states[n].original)) for n in changed_aliases),
        ),
        guards=(
            Guard(
                "there is something",
                bool(rows_to_restore or changed_aliases),
                f"{len(rows_to_restore)} registry rows and {len(changed_aliases)} aliases of it are there.",
            ),
            Guard(
                "rows are there",
                not missing_rows,
                f"{merged_count - len(missing_rows)} of {merged_count} merged rows are there.",
            ),
            Guard(
                "aliases unchanged since",
                not modified_since,
                f"{modified_since[0]} changed since: undo that change first."
                if modified_since
                else "Aliases unchanged since the merge.",
            ),
        ),
        planned_at=clients.now(),
        undo="Merge them again.",
        cost="Two statements on two small tables.",
        sources=registry.sources,
    )


def _find_merge(clients: Clients, args: Params) -> Action:
    action = read_action(clients, str(args.get("action_id") or ""))
    if action is None or action.action_name != MERGE_IDENTITIES.name or action.state not in UNDOABLE_STATES:
        raise InvalidInput("That action merged no players to split.", "Open it in the action log.")
    return action


@dataclass(frozen=True)
class _AliasState:
    """One alias of a merge: its row before the first attempt, and its row now."""

    edit: Edit
    original: AliasRecord | None
    current: AliasRecord | None


def _read_alias_states(clients: Clients, registry: NameRegistry, action: Action) -> dict[str, _AliasState]:
    """The aliases of a merge by `alias → canonical`."""
    states = {}
    for edit in edits_from_plan(action.plan.preconditions):
        name, current = f"{edit.alias} → {edit.canonical}", find_alias_row(registry, edit)
        creator_id = creating_action_id(current)
        first_attempt = read_action(clients, creator_id) if creator_id and creator_id != action.action_id else action
        states[name] = _AliasState(edit, (first_attempt or action).plan.preconditions.get(name), current)
    return states


def _created_by_merge(row: AliasRecord | None) -> bool:
    return bool(row and row["active"] and creating_action_id(row))


def _split(context: ActionContext) -> Details:
    action = _find_merge(context.clients, context.plan.args)
    preconditions, merge_params = action.plan.preconditions, action.plan.args
    alias_states = _read_alias_states(context.clients, read_registry(context.clients), action)
    changed = [state for state in alias_states.values() if state.original != state.current]
    context.report_progress(
        "Restoring the registry, then the aliases.",
        before={name: state.original for name, state in alias_states.items()},
    )
    rows = [row for row in preconditions["rows"] if row not in context.plan.preconditions["other"]]
    reassign_player_id(context, rows, merge_params["keep"], merge_params["merge"])
    if changed:
        restored_rows: list[Mapping[str, object]] = [
            state.original or {"alias": state.edit.alias, "canonical": state.edit.canonical, "delete_row": True}
            for state in changed
        ]
        write_rows(context, restored_rows, touched_names(edits_from_plan(preconditions)))
    return {}


def _verify_split(clients: Clients, plan: Plan, details: Details) -> Verification:
    action, registry = _find_merge(clients, plan.args), read_registry(clients)
    preconditions, merge_params = action.plan.preconditions, action.plan.args
    merged_rows = registry_rows(registry, merge_params["merge"])
    kept_rows = registry_rows(registry, merge_params["keep"])
    registry_restored = merged_rows == preconditions["rows"] and kept_rows == preconditions["kept rows"]
    original_rows = details.get("before")
    unrestored_aliases = [
        e.alias
        for e in edits_from_plan(preconditions)
        if original_rows is None or find_alias_row(registry, e) != original_rows[f"{e.alias} → {e.canonical}"]
    ]
    if registry_restored and not unrestored_aliases:
        return Verification(
            ActionState.DONE,
            "Registry and aliases restored.",
            {"rows": preconditions["rows"]},
        )
    message = (
        f"Incomplete: the registry is {'' if registry_restored else 'not '}restored,"
        f" {len(unrestored_aliases)} aliases are not. Undo the merge again."
    )
    return Verification(ActionState.FAILED, message, {"rows": merged_rows})


UNDO_MERGE = ActionType(
    "registry.undo_merge", "Split players", plan_undo_merge, _split, _verify_split, frozenset((REGISTRY, ALIASES))
)
