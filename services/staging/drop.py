"""Drops staging tables: what is proven to be merged, or an orphan knowing what it holds; either can be restored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState
from services.actions.plan import TITLE_SEPARATOR, Change, Confirmation, Figure, Guard, Params, Plan
from services.batches.ids import DATASET, parse_staging_table_name
from services.core.errors import InvalidInput
from services.core.result import sum_or_unknown
from services.core.sources import STAGING_TABLES
from services.core.text import pluralize
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.staging.merge_proof import (
    MergeProof,
    MergeProofs,
    get_tables,
    read_proofs,
    snapshot,
    validate_table_names,
)
from services.staging.restore_dropped import time_travel_h
from services.staging.running_batch import guard_no_batch_runs

MAX_TABLES_PER_ACTION = 500  # tables one action may touch; more are cleared in several
SKIPPED = "kept because they changed"  # key of the recorded facts


def drop_command(project: str, table: str) -> str:
    """The bq command that drops a staging table."""
    return f"bq rm -f -t {project}:{DATASET}.{table}"


def plan_drop_merged(clients: Clients, args: Params) -> Plan:
    """Drop `tables`, each of them only on proof that every row of it is in the predictions table."""
    proofs = read_proofs(clients, validate_table_names(args.get("tables")))
    title = f"Drop {pluralize(len(proofs.proofs), 'staging table')}{TITLE_SEPARATOR}{_format_unmerged(proofs)}"
    unproven = [_merged_guard(proof) for proof in proofs.proofs if not proof.merged]
    guards = unproven or [
        Guard("all rows merged", True, f"Each row of {pluralize(len(proofs.proofs), 'table')} is verified.")
    ]
    return _plan(clients, "staging.drop_merged", title, proofs, guards)


def plan_drop_orphan(clients: Clients, args: Params) -> Plan:
    """Drop the one table of `tables` knowing what it holds: its name has to be typed, and a reason given."""
    names = validate_table_names(args.get("tables"))
    if len(names) != 1:
        raise InvalidInput("Tables with unmerged rows are dropped one at a time.", "Select one table.")
    proofs = read_proofs(clients, names)
    proof = proofs.proofs[0]
    title = f"Drop {names[0]}{TITLE_SEPARATOR}{_format_unmerged(proofs)}"
    warnings = () if proof.merged else (_loss_warning(proof, time_travel_h(clients)),)
    guards = [Guard("table", proof.exists, f"{names[0]} {'exists' if proof.exists else 'no longer exists'}.")]
    return _plan(clients, "staging.drop_orphan", title, proofs, guards, confirmation_text=names[0], warnings=warnings)


def _plan(
    clients: Clients,
    action_name: str,
    title: str,
    proofs: MergeProofs,
    guards: list[Guard],
    confirmation_text: str = "",
    warnings: tuple[str, ...] = (),
) -> Plan:
    names = [proof.table for proof in proofs.proofs]
    hours = time_travel_h(clients)
    return Plan(
        action_name=action_name,
        target=names[0] if len(names) == 1 else pluralize(len(names), "staging table"),
        title=title,
        args={"tables": names},
        preconditions={proof.table: snapshot(proof) for proof in proofs.proofs},
        changes=tuple(
            Change(proof.table, f"{_format_rows(proof)}; {proof.summary}", "dropped") for proof in proofs.proofs
        ),
        guards=(*guards, *_running_batch_guards(clients, names), _table_count_guard(names)),
        planned_at=clients.now(),
        undo=f"Undo: restore within {_format_hours(hours)} (BigQuery time travel).",
        cost=f"Verification scans {proofs.bytes_billed / 2**20:,.0f} MiB and runs again before the drop. Dropping is free.",
        item="staging table",
        figures=(
            Figure(
                "Staging tables",
                f"{sum(p.exists for p in proofs.proofs):,}",
                "0",
                f"restorable for {_format_hours(hours)}",
            ),
            Figure("Staged rows", _sum_text(p.rows for p in proofs.proofs), "0"),
            Figure(
                "Unmerged rows",
                _sum_text(p.unmerged_rows for p in proofs.proofs),
                "0",
                "rows that exist only in staging",
            ),
        ),
        confirmation=Confirmation.TYPED if confirmation_text else Confirmation.ONE_CLICK,
        confirmation_text=confirmation_text,
        warnings=warnings,
        commands=tuple(drop_command(clients.settings.project, name) for name in names),
        sources=proofs.sources,
    )


def _merged_guard(proof: MergeProof) -> Guard:
    ok = None if proof.exists and proof.error else proof.merged
    return Guard(proof.table, ok, f"{proof.table}: {proof.summary}.")


def _running_batch_guards(clients: Clients, names: Iterable[str]) -> Iterator[Guard]:
    """A table of a batch that still runs is not left behind, whatever it holds."""
    by_date: dict[date | None, set[str]] = {}
    for name in names:
        batch_id, _, game_date = parse_staging_table_name(name)
        by_date.setdefault(game_date, set()).add(batch_id)
    for game_date, batch_ids in by_date.items():
        if game_date is not None:
            yield guard_no_batch_runs(clients, game_date, batch_ids)


def _table_count_guard(names: list[str]) -> Guard:
    return Guard(
        "size",
        len(names) <= MAX_TABLES_PER_ACTION,
        f"{pluralize(len(names), 'table')} (max {MAX_TABLES_PER_ACTION} per action).",
    )


def _drop(context: ActionContext) -> Details:
    """Drop table by table, after reading its etag once more; one that changed meanwhile is kept."""
    clients, names = context.clients, context.plan.args["tables"]
    skipped = []
    context.report_progress(
        f"Dropping {pluralize(len(names), 'staging table')}.",
        dropped_from_ms=_bigquery_now_ms(clients),
        time_travel_h=time_travel_h(clients),
    )
    for name in names:
        table = get_tables(clients, [name])[name]
        if table is None or table.etag != context.plan.preconditions[name]["etag"]:
            skipped.append(name)
            continue
        with translate_errors(f"BigQuery ({name})"):
            clients.bigquery.delete_table(
                f"{DATASET}.{name}", not_found_ok=True, timeout=clients.settings.query_timeout_s
            )
    return {SKIPPED: skipped} if skipped else {}


def _verify_drop(clients: Clients, plan: Plan, details: Details) -> Verification:
    remaining = {name for name, table in get_tables(clients, plan.args["tables"]).items() if table is not None}
    dropped_count = len(plan.args["tables"]) - len(remaining)
    after = {"dropped": dropped_count, "still there": sorted(remaining)}
    if not remaining:
        return Verification(
            ActionState.DONE,
            f"Dropped {pluralize(dropped_count, 'staging table')}; verified.",
            after,
        )
    changed_text = " Skipped: changed since the plan." if details.get(SKIPPED) else ""
    return Verification(
        ActionState.FAILED,
        f"{dropped_count} dropped, {len(remaining)} remain: {', '.join(sorted(remaining))}.{changed_text}",
        after,
    )


def _bigquery_now_ms(clients: Clients) -> int:
    """An instant of BigQuery's own clock, after the proof and before the drop: our clock may run ahead of it."""
    job = clients.bigquery.get_job(query_catalog.run_query(clients, "actions.server_time").source.detail, timeout=20)
    return int(job.ended.timestamp() * 1000)


def _loss_warning(proof: MergeProof, hours: int) -> str:
    """What dropping a table would lose that is not proven to be merged."""
    if not proof.unmerged_rows:
        return f"This table {proof.summary}. Its rows may exist nowhere else."
    return (
        f"{proof.unmerged_rows} of {proof.rows} rows exist only in this table."
        f" They are lost for good when the {_format_hours(hours)} restore window ends."
    )


def _format_hours(hours: int) -> str:
    return f"{hours // 24} days" if hours % 24 == 0 else f"{hours} h"


def _sum_text(counts: Iterable[int | None]) -> str:
    total = sum_or_unknown(counts)
    return "unknown" if total is None else f"{total:,}"


def _format_rows(proof: MergeProof) -> str:
    return "rows unknown" if proof.rows is None else f"{proof.rows} rows"


def _format_unmerged(proofs: MergeProofs) -> str:
    unproven_count = sum(proof.unmerged_rows is None for proof in proofs.proofs)
    if unproven_count:
        return f"{unproven_count} not verified"
    unmerged = sum(proof.unmerged_rows or 0 for proof in proofs.proofs)
    return f"{unmerged} unmerged rows" if unmerged else "all rows merged"


CHANGES = frozenset((STAGING_TABLES,))
DROP_MERGED = ActionType(
    "staging.drop_merged", "Drop merged staging tables", plan_drop_merged, _drop, _verify_drop, CHANGES
)
DROP_ORPHAN = ActionType("staging.drop_orphan", "Drop orphaned table", plan_drop_orphan, _drop, _verify_drop, CHANGES)
