"""Merges two identities: first the aliases, then the registry's ids, each step recorded, so that it can be finished or undone.

The alias rows name the action that created them, so a merge that stopped between its two steps is visible in the tables. Planning
the same merge again does only what is left, and an undo restores what was there before the first attempt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState
from services.actions.plan import Change, Confirmation, Guard, Params, Plan
from services.aliases.edits import Edit, EditKind
from services.aliases.identities.duplicates import compare_identities
from services.aliases.save import snapshot, touched_names, write_rows
from services.aliases.validation import Severity, new_violations, with_aliases
from services.core.commands import bq_query_command
from services.core.errors import InvalidInput, OnCallError
from services.core.settings import Settings
from services.core.sources import ALIASES, REGISTRY
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.names.registry import Alias, AliasRecord, NameRegistry, RegistryRow, alias_to_dict, read_registry

_MERGE_NOTE_PATTERN = re.compile(r"^One identity with (\S+), by action (\w+)$")


def plan_merge(clients: Clients, args: Params) -> Plan:
    """Give every registry row of `merge` the id `keep`, and its names an alias; shows the evidence against it."""
    keep_id, merge_id = str(args.get("keep") or ""), str(args.get("merge") or "")
    registry = read_registry(clients)
    rows = {
        player_id: [row for row in registry.registered if row.player_id == player_id]
        for player_id in (keep_id, merge_id)
    }
    if keep_id == merge_id or not all(rows.values()):
        raise InvalidInput(
            f"{keep_id or 'Nothing'} and {merge_id or 'nothing'} are not two registered player ids.", "Choose two."
        )
    comparison = compare_identities(registry, rows[keep_id], rows[merge_id])
    usage = query_catalog.run_query(clients, "registry.usage_counts", player_ids=[merge_id])
    edits = _alias_edits(rows[keep_id], rows[merge_id], keep_id)
    new_edits = [edit for edit in edits if edit.canonical not in registry.active.get(edit.alias, ())]
    return Plan(
        action_name="registry.merge",
        target=merge_id,
        title=f"Merge {merge_id} into {keep_id}",
        args={"keep": keep_id, "merge": merge_id},
        preconditions={
            "rows": registry_rows(registry, merge_id),
            "kept rows": registry_rows(registry, keep_id),
            "aliases": [f"{e.alias} → {e.canonical}" for e in edits],
            **snapshot(registry, edits),
        },
        changes=(
            *(Change(f"registry: {r.lookup}, {r.team} {r.season}", merge_id, keep_id) for r in rows[merge_id]),
            *(Change(f"alias {edit.alias} → {edit.canonical}", "not active", "active") for edit in new_edits),
            *(
                Change(row["table_name"], f"{row['row_count']} rows reference {merge_id}", "unchanged")
                for row in usage.rows
            ),
        ),
        guards=tuple(_guards(registry, edits, new_edits, keep_id, merge_id)),
        planned_at=clients.now(),
        undo="Undo on Player names or in the action log restores the original ids.",
        cost="Two statements on two small tables; the plan read them and counted rows elsewhere.",
        confirmation=Confirmation.TYPED,
        confirmation_text=merge_id,
        warnings=tuple(f"Evidence against: {text}." for text in comparison.evidence_against),
        evidence=tuple(comparison.evidence_for),
        commands=_manual_commands(clients.settings, keep_id, merge_id, new_edits),
        sources=(*registry.sources, usage.source),
    )


def _alias_edits(
    kept_rows: Sequence[RegistryRow], merged_rows: Sequence[RegistryRow], keep_id: str
) -> tuple[Edit, ...]:
    """An alias to the kept identity's name for every name that only the other identity has."""
    names = sorted({row.lookup for row in kept_rows})
    id_base = keep_id.rpartition("_")[0]
    canonical = id_base if id_base in names else names[0]
    return tuple(
        Edit(EditKind.ADD, name, canonical) for name in sorted({row.lookup for row in merged_rows} - set(names))
    )


def _guards(
    registry: NameRegistry, edits: Sequence[Edit], new_edits: Sequence[Edit], keep_id: str, merge_id: str
) -> list[Guard]:
    reversed_edits = [e for e in edits if e.alias in registry.active.get(e.canonical, ())]
    conflicting_edits = [e for e in edits if registry.active.get(e.alias, frozenset()) - {e.canonical}]
    ambiguous_rows = sorted(set(registry_rows(registry, keep_id)) & set(registry_rows(registry, merge_id)))
    merged_rows = tuple(
        replace(row, player_id=keep_id) if row.player_id == merge_id else row for row in registry.registered
    )
    before = replace(registry, registered=merged_rows)
    violations = new_violations(before, with_aliases(before, [Alias(e.alias, e.canonical, True) for e in new_edits]))
    errors = [] if reversed_edits or conflicting_edits else [v for v in violations if v.severity is Severity.ERROR]
    return [
        _other_direction_guard(reversed_edits),
        _alias_is_free_guard(conflicting_edits, registry),
        _rows_guard(ambiguous_rows),
        *(Guard(v.check, False, v.message) for v in errors),
    ]


def _other_direction_guard(reversed_edits: Sequence[Edit]) -> Guard:
    if not reversed_edits:
        return Guard("other direction", True, "No alias in the opposite direction.")
    edit = reversed_edits[0]
    return Guard("other direction", False, f"{edit.canonical} → {edit.alias} is active: reverse it first.")


def _alias_is_free_guard(conflicting_edits: Sequence[Edit], registry: NameRegistry) -> Guard:
    if not conflicting_edits:
        return Guard("alias is free", True, "The names map to no other player.")
    alias = conflicting_edits[0].alias
    canonicals = ", ".join(sorted(registry.active[alias]))
    return Guard("alias is free", False, f"{alias} also maps to {canonicals}: deactivate that alias first.")


def _rows_guard(ambiguous_rows: Sequence[str]) -> Guard:
    if not ambiguous_rows:
        message = "No team and season is registered under both ids with one name."
        return Guard("rows are distinct", True, message)
    message = f"{ambiguous_rows[0]} is registered under both ids; can't be undone exactly."
    return Guard("rows are distinct", False, message)


def _manual_commands(settings: Settings, keep_id: str, merge_id: str, new_edits: Sequence[Edit]) -> tuple[str, ...]:
    sql = "UPDATE nba_reference.nba_players_registry SET universal_player_id = @keep WHERE universal_player_id = @gone"
    comments = [f"# first save the alias {edit.alias},{edit.canonical}" for edit in new_edits]
    return (
        *comments,
        bq_query_command(settings, sql, {"keep:": keep_id, "gone:": merge_id}),
    )


def registry_rows(registry: NameRegistry, player_id: str) -> list[str]:
    return sorted(f"{r.lookup} {r.team} {r.season}" for r in registry.registered if r.player_id == player_id)


def edits_from_plan(preconditions: Details) -> tuple[Edit, ...]:
    """The aliases of a merge, from what its plan observed."""
    pairs = [str(pair).split(" → ") for pair in preconditions.get("aliases", ())]
    return tuple(Edit(EditKind.ADD, alias, canonical) for alias, canonical in pairs)


def creating_action_id(row: AliasRecord | None) -> str | None:
    """The id of the merge action that created this alias row, if one did."""
    match = _MERGE_NOTE_PATTERN.match((row["notes"] if row else None) or "")
    return match[2] if match else None


def partial_merges(registry: NameRegistry) -> tuple[tuple[str, str], ...]:
    """(kept, other) ids of merges that created their alias while the registry still has two identities."""
    pairs = set()
    for row in registry.aliases:
        match = _MERGE_NOTE_PATTERN.match(row.notes or "") if row.active else None
        for other_id in registry.player_ids(row.alias) if match else ():
            if match and match[1] != other_id and match[1] in registry.player_ids(row.canonical):
                pairs.add((match[1], other_id))
    return tuple(sorted(pairs))


def _merge(context: ActionContext) -> Details:
    args, preconditions = context.plan.args, context.plan.preconditions
    registry, now = read_registry(context.clients), context.clients.now().astimezone(UTC)
    edits = edits_from_plan(preconditions)
    rows = []
    for edit in edits:
        if edit.canonical in registry.active.get(edit.alias, ()):
            continue
        existing = next((row for row in registry.aliases if row.pair == (edit.alias, edit.canonical)), None)
        row = existing or Alias(
            edit.alias,
            edit.canonical,
            active=True,
            alias_display=registry.display_name(edit.alias),
            canonical_display=registry.display_name(edit.canonical),
            kind="suffix_variation",
            source="on_call",
            created_by=context.actor.name,
            created_at=now,
        )
        notes = f"One identity with {args['keep']}, by action {context.action_id}"
        rows.append(alias_to_dict(replace(row, active=True, notes=notes, processed_at=now)))
    if rows:
        write_rows(context, rows, touched_names(edits))
        now_active = read_registry(context.clients).active
        if any(edit.canonical not in now_active.get(edit.alias, ()) for edit in edits):
            raise OnCallError(
                "These aliases changed since the plan; the registry was not changed.", "Review a new plan."
            )
    context.report_progress("Aliases saved; updating the registry.", merged=args["merge"])
    reassign_player_id(context, list(preconditions["rows"]), args["merge"], args["keep"])
    return {}


def reassign_player_id(context: ActionContext, rows: list[str], from_id: str, to_id: str) -> None:
    job_id = f"on-call-identity-{context.action_id}"
    query_catalog.run_query(
        context.clients, "registry.reassign_player_id", job_id=job_id, rows=rows, from_id=from_id, to_id=to_id
    )


def _verify(clients: Clients, plan: Plan, _details: Details) -> Verification:
    registry, preconditions = read_registry(clients), plan.preconditions
    remaining_rows, kept_rows = registry_rows(registry, plan.args["merge"]), registry_rows(registry, plan.args["keep"])
    missing = [e.alias for e in edits_from_plan(preconditions) if e.canonical not in registry.active.get(e.alias, ())]
    after = {"rows": kept_rows, "left": remaining_rows, "without alias": missing}
    if (
        not remaining_rows
        and not missing
        and kept_rows == sorted([*preconditions["rows"], *preconditions["kept rows"]])
    ):
        return Verification(
            ActionState.DONE, f"{len(preconditions['rows'])} registry rows now reference {plan.args['keep']}.", after
        )
    untouched = remaining_rows == preconditions["rows"] and all(
        find_alias_row(registry, e) == preconditions.get(f"{e.alias} → {e.canonical}")
        for e in edits_from_plan(preconditions)
    )
    message = (
        "Nothing changed."
        if untouched
        else f"Incomplete: {len(remaining_rows)} registry rows still reference {plan.args['merge']},"
        f" {len(missing)} aliases are missing. Merge them again to finish, or undo the merge."
    )
    return Verification(ActionState.FAILED, message, after)


def find_alias_row(registry: NameRegistry, edit: Edit) -> AliasRecord | None:
    """The row of an alias as it is now, or None."""
    return next((alias_to_dict(row) for row in registry.aliases if row.pair == (edit.alias, edit.canonical)), None)


MERGE_IDENTITIES = ActionType(
    "registry.merge", "Merge players", plan_merge, _merge, _verify, frozenset((REGISTRY, ALIASES))
)
