"""Records that a suggested match is not the same player, with the reason: it is not suggested again until that is undone."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState
from services.actions.plan import Change, Guard, Params, Plan
from services.aliases.edits import Edit, EditKind, from_params
from services.aliases.rejections import read_rejection, rejection_note
from services.aliases.save import snapshot, touched_names, write_rows
from services.core.errors import InvalidInput
from services.core.sources import ALIASES
from services.gcp.clients import Clients
from services.names.registry import Alias, NameRegistry, alias_to_dict, read_registry

_NAME = "aliases.reject"


def plan_rejection(registry: NameRegistry, alias: str, canonical: str, reason: str, now: datetime) -> Plan:
    """What recording a rejection changes, from the registry as it was read. `alias` and `canonical` may be two player ids. Pure."""
    edit, reason = Edit(EditKind.DEACTIVATE, alias, canonical), reason.strip()
    name = f"{alias} → {canonical}"
    row = next((row for row in registry.aliases if row.pair == (alias, canonical)), None)
    is_free = row is None or not (row.active or read_rejection(row))
    return Plan(
        action_name=_NAME,
        target=name,
        title=f"{alias} is not {canonical}",
        args={"edits": [asdict(edit)], "why": reason},
        preconditions=snapshot(registry, [edit]),
        changes=(Change(name, "suggested", "not suggested again"),),
        guards=(
            Guard("not in use", is_free, f"{name} is {'not an alias' if is_free else 'active or rejected already'}."),
            Guard("reason", bool(reason), f"Reason: {reason}." if reason else "Enter a reason."),
        ),
        planned_at=now,
        undo="Undo on Player names: it is suggested again.",
        cost="One MERGE on player_aliases, a table of a few rows (10 MiB billed).",
    )


def _plan(clients: Clients, args: Params) -> Plan:
    edits = from_params(args)
    if len(edits) != 1 or edits[0].do is not EditKind.DEACTIVATE:
        raise InvalidInput("One match is rejected at a time.", "Use the button beside the suggestion.")
    reason = str(args.get("why") or "")
    return plan_rejection(read_registry(clients), edits[0].alias, edits[0].canonical, reason, clients.now())


def _reject(context: ActionContext) -> Details:
    (edit,) = from_params(context.plan.args)
    now = context.clients.now().astimezone(UTC)
    row = Alias(
        edit.alias,
        edit.canonical,
        active=False,
        alias_display=edit.alias,
        canonical_display=edit.canonical,
        kind="rejected",
        source="on_call",
        notes=rejection_note(context.action_id, context.plan.args["why"]),
        created_by=context.actor.name,
        created_at=now,
        processed_at=now,
    )
    write_rows(context, [alias_to_dict(row)], touched_names([edit]))
    return {}


def _verify(clients: Clients, plan: Plan, _details: Details) -> Verification:
    (edit,) = from_params(plan.args)
    row = next((row for row in read_registry(clients).aliases if row.pair == (edit.alias, edit.canonical)), None)
    name = f"{edit.alias} → {edit.canonical}"
    after = {name: alias_to_dict(row)} if row is not None else {}
    if row is None or read_rejection(row) is None:
        return Verification(ActionState.FAILED, f"{name} was not recorded: its alias has changed.", after)
    return Verification(ActionState.DONE, f"{name} is not suggested again.", after)


REJECT_MATCH = ActionType(_NAME, "Not the same", _plan, _reject, _verify, frozenset((ALIASES,)))
