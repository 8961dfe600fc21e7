"""Saves alias edits: plans what they change, validates them, previews whom they would cover; one MERGE, all or none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState
from services.actions.plan import Change, Confirmation, Guard, Params, Plan
from services.aliases.edits import Edit, EditKind, from_params
from services.aliases.preview import preview_coverage_gain
from services.aliases.validation import (
    Severity,
    Violation,
    new_violations,
    previously_deactivated,
    violation_keys,
    with_aliases,
)
from services.core.commands import bq_query_command
from services.core.settings import Settings
from services.core.sources import ALIASES
from services.core.text import pluralize
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.names.normalization import strip_suffix
from services.names.registry import Alias, AliasRecord, NameRegistry, alias_to_dict, read_registry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DEACTIVATE_SQL = """UPDATE nba_reference.player_aliases SET is_active = FALSE, processed_at = CURRENT_TIMESTAMP()
WHERE alias_lookup = @alias AND nba_canonical_lookup = @canonical"""
_ADD_SQL = """INSERT nba_reference.player_aliases
(alias_lookup, nba_canonical_lookup, alias_display, nba_canonical_display, is_active, created_by, created_at, processed_at)
VALUES (@alias, @canonical, @alias, @canonical, TRUE, SESSION_USER(), CURRENT_TIMESTAMP(), CURRENT_TIMESTAMP())"""


def plan_edit(clients: Clients, args: Params) -> Plan:
    """What the edits would change, the result of validation, and which players of which dates would newly be covered."""
    edits, registry, now = from_params(args), read_registry(clients), clients.now()
    validation = validate(registry, edits)
    gain = preview_coverage_gain(clients, registry, validation.after, now)
    warnings = (*(violation.message for violation in validation.warnings), *gain.warnings)
    return Plan(
        action_name="aliases.edit",
        target=edits[0].alias if len(edits) == 1 else pluralize(len(edits), "alias", "aliases"),
        title=f"Save {pluralize(len(edits), 'alias change')}",
        args={"edits": [asdict(edit) for edit in edits]},
        preconditions=snapshot(registry, edits),
        changes=(*(_to_change(edit, registry) for edit in edits), *gain.changes),
        guards=(*validation.guards, *gain.guards),
        planned_at=now,
        undo="Undo on Player names or in the action log.",
        cost="One MERGE on player_aliases, a table of a few rows (10 MiB billed); the plan read four small tables.",
        confirmation=Confirmation.TYPED if warnings else Confirmation.ONE_CLICK,
        confirmation_text=edits[0].alias if warnings else "",
        warnings=warnings,
        commands=tuple(_manual_command(clients.settings, edit) for edit in edits),
        sources=(*registry.sources, *gain.sources),
    )


@dataclass(frozen=True)
class EditValidation:
    """The result of validating edits together: the registry after them, what stops them, what needs a reason."""

    after: NameRegistry
    guards: tuple[Guard, ...]
    errors: tuple[Violation, ...]
    warnings: tuple[Violation, ...]


def validate(registry: NameRegistry, edits: Sequence[Edit]) -> EditValidation:
    """Validates the edits against the whole registry as it would be after all of them. Pure."""
    after = with_aliases(registry, [_target_row(edit, registry) for edit in edits])
    violations = new_violations(registry, after)
    added = [(edit.alias, edit.canonical) for edit in edits if edit.do is EditKind.ADD]
    errors = tuple(v for v in violations if v.severity is Severity.ERROR)
    warnings = (*(v for v in violations if v.severity is Severity.WARNING), *previously_deactivated(registry, added))
    return EditValidation(after, (*_guards(edits, registry), *map(_to_guard, errors)), errors, warnings)


def _target_row(edit: Edit, registry: NameRegistry) -> Alias:
    """The row as it is after an edit, before author and time are set."""
    existing = next((row for row in registry.aliases if row.pair == (edit.alias, edit.canonical)), None)
    if existing is not None:
        return replace(existing, active=edit.do is EditKind.ADD)
    return Alias(
        edit.alias,
        edit.canonical,
        edit.do is EditKind.ADD,
        alias_display=edit.alias_display or registry.display_name(edit.alias),
        canonical_display=registry.display_name(edit.canonical),
        kind="suffix_variation" if strip_suffix(edit.alias) == strip_suffix(edit.canonical) else "name_variation",
        source="on_call",
    )


def snapshot(registry: NameRegistry, edits: Sequence[Edit]) -> dict[str, AliasRecord | None]:
    """Every row with a touched name on either side, as it is now: what the plan depends on, and what an undo restores.

    Both sides, because two people who save a → b and b → c concurrently would leave a chain that neither of them saw.
    """
    touched = touched_names(edits)
    rows = [row for row in registry.aliases if row.alias in touched or row.canonical in touched]
    return {
        **{f"{edit.alias} → {edit.canonical}": None for edit in edits},
        **{f"{row.alias} → {row.canonical}": alias_to_dict(row) for row in rows},
    }


def touched_names(edits: Iterable[Edit]) -> list[str]:
    return sorted({name for edit in edits for name in (edit.alias, edit.canonical)})


def _to_change(edit: Edit, registry: NameRegistry) -> Change:
    existing = next((row for row in registry.aliases if row.pair == (edit.alias, edit.canonical)), None)
    before = "not there" if existing is None else "active" if existing.active else "inactive"
    return Change(f"{edit.alias} → {edit.canonical}", before, "active" if edit.do is EditKind.ADD else "inactive")


def _guards(edits: Sequence[Edit], registry: NameRegistry) -> Iterable[Guard]:
    for edit in edits:
        pair = (edit.alias, edit.canonical)
        rows = [row for row in registry.aliases if row.pair == pair]
        name = f"{edit.alias} → {edit.canonical}"
        if len(rows) > 1:
            yield Guard(name, False, f"{name} appears {len(rows)} times in the table; can't be undone exactly.")
        elif not rows and edit.do is EditKind.DEACTIVATE:
            yield Guard(name, False, f"{name} doesn't exist, so it can't be deactivated.")
        elif rows and rows[0].active is (edit.do is EditKind.ADD):
            yield Guard(name, False, f"{name} is {'active' if rows[0].active else 'inactive'} already.")
        else:
            yield Guard(name, True, f"{name} can be {'activated' if edit.do is EditKind.ADD else 'deactivated'}.")


def _to_guard(violation: Violation) -> Guard:
    return Guard(violation.check, False, violation.message)


def _manual_command(settings: Settings, edit: Edit) -> str:
    """The same as a bq command; typed names are query parameters there too."""
    sql = _DEACTIVATE_SQL if edit.do is EditKind.DEACTIVATE else _ADD_SQL
    return bq_query_command(settings, sql, {"alias:": edit.alias, "canonical:": edit.canonical})


def _save(context: ActionContext) -> Details:
    now, edits = context.clients.now().astimezone(UTC), from_params(context.plan.args)
    registry = read_registry(context.clients)
    rows = []
    for edit in edits:
        row = _target_row(edit, registry)
        if row.created_at is None:
            row = replace(row, created_by=context.actor.name, created_at=now)
        rows.append(alias_to_dict(replace(row, processed_at=now)))
    write_rows(context, rows, touched_names(edits))
    return {"saved": [f"{edit.alias} → {edit.canonical}" for edit in edits], "faults": sorted(violation_keys(registry))}


def format_row_state(row: AliasRecord | None) -> str:
    """How a recorded alias row is shown in a plan's changes."""
    return "not there" if not row else "active" if row["active"] else "inactive"


def write_rows(context: ActionContext, rows: Sequence[Mapping[str, object]], touched: Sequence[str]) -> None:
    """One MERGE under the action's own job id, which does nothing if a row of a touched name is not as it was observed."""
    planned_rows = [row for row in context.plan.preconditions.values() if isinstance(row, Mapping)]
    expected = [row for row in planned_rows if row["alias"] in touched or row["canonical"] in touched]
    query_catalog.run_query(
        context.clients,
        "aliases.upsert",
        job_id=f"on-call-aliases-{context.action_id}",
        rows=[json.dumps({key: _bool_to_text(value) for key, value in row.items()}) for row in rows],
        touched_names=list(touched),
        expected_rows=len(expected),
        expected_active=sum(row["active"] for row in expected),
        expected_latest=max((datetime.fromisoformat(row["processed_at"]) for row in expected), default=_EPOCH),
    )


def _bool_to_text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _verify(clients: Clients, plan: Plan, _details: Details) -> Verification:
    rows = {row.pair: row for row in read_registry(clients).aliases}
    edits = from_params(plan.args)
    after: dict[str, AliasRecord] = {}
    unsaved = []
    for edit in edits:
        row = rows.get((edit.alias, edit.canonical))
        if row is not None:
            after[f"{edit.alias} → {edit.canonical}"] = alias_to_dict(row)
        if row is None or row.active is not (edit.do is EditKind.ADD):
            unsaved.append(edit)
    if not unsaved:
        return Verification(ActionState.DONE, f"{len(edits)} of {len(edits)} alias changes saved.", after)
    names = ", ".join(edit.alias for edit in unsaved)
    return Verification(
        ActionState.FAILED, f"Not saved: {names}. They changed since the plan; nothing was written.", after
    )


EDIT_ALIASES = ActionType("aliases.edit", "Save aliases", plan_edit, _save, _verify, frozenset((ALIASES,)))
