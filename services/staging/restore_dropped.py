"""Restores staging tables that were dropped, each row as it was, for as long as BigQuery's time travel reaches back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud import bigquery

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState, read_action
from services.actions.plan import Change, Guard, Params, Plan
from services.batches.ids import DATASET
from services.batches.staging_listing import ORIGINAL_CREATED_LABEL
from services.core.errors import InvalidInput
from services.core.sources import STAGING_TABLES
from services.core.text import pluralize
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.staging.merge_proof import get_tables, read_proofs, snapshot

DEFAULT_TIME_TRAVEL_H = 168  # of a dataset that sets none


def restore_command(project: str, table: str, at_ms: object) -> str:
    """The bq command that copies a staging table as it was at an instant, in ms since 1970."""
    return f"bq cp --project_id={project} {project}:{DATASET}.{table}@{at_ms} {project}:{DATASET}.{table}"


def plan_undo_drop(clients: Clients, args: Params) -> Plan:
    """Restore the tables that the action `action_id` dropped, as they were the moment before."""
    drop_action = read_action(clients, str(args.get("action_id") or ""))
    if drop_action is None or "dropped_from_ms" not in drop_action.facts:
        raise InvalidInput("That action dropped no table that can be restored.", "Open it in the action log.")
    names = list(drop_action.plan.args["tables"])
    exists = {name: table is not None for name, table in get_tables(clients, names).items()}
    to_restore = [name for name in names if not exists[name]]
    remaining = restore_window(clients, drop_action.facts["dropped_from_ms"])
    return Plan(
        action_name="staging.undo_drop",
        target=drop_action.action_id,
        title=f"Restore {pluralize(len(to_restore), 'staging table')}",
        args={"action_id": drop_action.action_id},
        preconditions={
            "there now": [name for name in names if exists[name]],
            "as of": drop_action.facts["dropped_from_ms"],
        },
        changes=tuple(
            Change(name, "dropped", f"as it was, {drop_action.plan.preconditions[name]['rows']} rows")
            for name in to_restore
        ),
        guards=(
            Guard("tables to restore", bool(to_restore), f"{len(to_restore)} of {len(names)} tables are dropped."),
            Guard(
                "restore window",
                remaining > timedelta(0),
                format_remaining(remaining),
            ),
        ),
        planned_at=clients.now(),
        item="staging table",
        undo="The tables can be dropped again.",
        cost="1 free copy job per table.",
        commands=tuple(
            restore_command(clients.settings.project, name, drop_action.facts["dropped_from_ms"]) for name in to_restore
        ),
    )


def _restore(context: ActionContext) -> Details:
    clients, as_of_ms = context.clients, context.plan.preconditions["as of"]
    drop_action = read_action(clients, context.plan.target)
    dropped: Mapping[str, Any] = drop_action.plan.preconditions if drop_action else {}
    for change in context.plan.changes:
        config = bigquery.CopyJobConfig(write_disposition=bigquery.WriteDisposition.WRITE_EMPTY)
        with translate_errors(f"BigQuery ({change.what})"):
            clients.bigquery.copy_table(
                f"{clients.settings.project}.{DATASET}.{change.what}@{as_of_ms}",
                f"{clients.settings.project}.{DATASET}.{change.what}",
                job_config=config,
                job_id=f"on-call-undo-{context.action_id}-{change.what}",
            ).result(timeout=clients.settings.query_timeout_s)
            if created := dropped.get(change.what, {}).get("created"):  # plans of older versions have none
                _label_original_created(clients, f"{DATASET}.{change.what}", datetime.fromisoformat(created))
    return {"brought back": [change.what for change in context.plan.changes]}


def _label_original_created(clients: Clients, table: str, created: datetime) -> None:
    """A restored table is as old as the one that was dropped: its age, and the alert about it, go on."""
    restored = clients.bigquery.get_table(table, timeout=clients.settings.query_timeout_s)
    restored.labels = {**restored.labels, ORIGINAL_CREATED_LABEL: f"{created.timestamp() * 1000:.0f}"}
    clients.bigquery.update_table(restored, ["labels"], timeout=clients.settings.query_timeout_s)


def _verify_restored(clients: Clients, plan: Plan, _details: Details) -> Verification:
    """Identical rows, by the fingerprint that was taken before the drop."""
    drop_action = read_action(clients, plan.args["action_id"])
    before: Mapping[str, Any] = drop_action.plan.preconditions if drop_action else {}
    names = [change.what for change in plan.changes]
    after = {proof.table: snapshot(proof) for proof in read_proofs(clients, names).proofs}
    expected = {n: {"created": after[n]["created"], **before.get(n, {})} for n in names}  # older plans have no creation
    kept = ("rows", "content", "there", "created")
    identical = [n for n in names if all(after[n][k] == expected[n].get(k) for k in kept)]
    if len(identical) == len(names):
        return Verification(
            ActionState.DONE, f"{pluralize(len(identical), 'staging table')} restored and verified row by row.", after
        )
    different = ", ".join(name for name in names if name not in identical)
    return Verification(
        ActionState.FAILED, f"{len(identical)} of {len(names)} restored as they were; different: {different}.", after
    )


def time_travel_h(clients: Clients) -> int:
    """For how many hours this dataset can be read as it was."""
    with translate_errors("BigQuery (dataset)"):
        return int(clients.bigquery.get_dataset(DATASET, timeout=20).max_time_travel_hours or DEFAULT_TIME_TRAVEL_H)


def is_restorable(facts: Mapping[str, Any], now: datetime) -> bool:
    """Whether a drop with these recorded facts dropped something that time travel may still reach. Pure."""
    if "dropped_from_ms" not in facts:
        return False
    dropped_at = datetime.fromtimestamp(facts["dropped_from_ms"] / 1000, UTC)
    return now < dropped_at + timedelta(hours=facts.get("time_travel_h") or DEFAULT_TIME_TRAVEL_H)


def restore_window(clients: Clients, dropped_from_ms: int) -> timedelta:
    """How long a drop of this instant can still be undone."""
    expires_at = datetime.fromtimestamp(dropped_from_ms / 1000, UTC) + timedelta(hours=time_travel_h(clients))
    return expires_at - clients.now()


def format_remaining(remaining: timedelta) -> str:
    """How long dropped tables can still be restored, in a sentence."""
    if remaining <= timedelta(0):
        return "Restore window expired."
    hours = int(remaining.total_seconds() // 3600)
    minutes = int(remaining.total_seconds() % 3600 // 60)
    return f"Restore window: {f'{hours // 24} d {hours % 24} h' if hours >= 24 else f'{hours} h {minutes} min'} left."


UNDO_DROP = ActionType(
    "staging.undo_drop", "Restore tables", plan_undo_drop, _restore, _verify_restored, frozenset((STAGING_TABLES,))
)
