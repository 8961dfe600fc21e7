"""Consolidate a leftover batch now: its staging tables into the predictions table by one MERGE, under the date's lease."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState
from services.actions.plan import Change, Guard, Params, Plan
from services.batches.ids import is_unit_table, parse_batch_date, staging_prefix
from services.batches.reader import read_batches
from services.batches.staging_listing import list_staging_tables
from services.core.errors import InvalidInput
from services.core.process_id import holder_id
from services.core.text import pluralize
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.nights.coverage_count import count_coverage, format_coverage
from services.nights.player_stages import read_night
from services.pipeline.consolidator import Consolidator
from services.pipeline.warehouse import BigQueryWarehouse
from services.staging.merge_proof import MergeProof, read_proofs, snapshot


def plan_consolidate(clients: Clients, args: Params) -> Plan:
    """Merge what the staging tables of `batch_id` hold; raises InvalidInput when there is no such table."""
    batch_id = str(args.get("batch_id") or "")
    try:
        game_date = parse_batch_date(batch_id)
    except ValueError:
        raise InvalidInput(f"{batch_id!r} is not a batch.", "Choose one on the staging page.") from None
    names = list_batch_tables(clients, batch_id)
    if not names:
        raise InvalidInput(
            f"{batch_id} has no staging table, so there is nothing to consolidate.", "Look at the list anew."
        )
    merge_proofs = read_proofs(clients, names)
    proofs = merge_proofs.proofs
    rows = sum(proof.rows or 0 for proof in proofs)
    missing_rows = sum(proof.missing_rows or 0 for proof in proofs)
    changed_rows = sum(proof.changed_rows or 0 for proof in proofs)
    return Plan(
        action_name="staging.consolidate",
        target=batch_id,
        title=f"Consolidate {batch_id}: {rows:,} rows of {pluralize(len(names), 'staging table')}",
        args={"batch_id": batch_id},
        preconditions={proof.table: snapshot(proof) for proof in proofs},
        changes=(
            Change("rows added", "", f"{missing_rows:,} whose key is not in the predictions table"),
            Change("rows updated", "", f"{changed_rows:,} whose key is there with other values"),
            Change("rows unchanged", "", f"{rows - missing_rows - changed_rows:,}"),
            Change("staging tables", f"{len(names)}", "dropped, after each row is proven to be in the table"),
        ),
        guards=tuple(_guards(clients, batch_id, game_date, proofs)),
        planned_at=clients.now(),
        undo="Not by a button. The predictions table can be read as it was for a week.",
        cost=f"One MERGE; the plan billed {merge_proofs.bytes_billed / 2**20:,.0f} MiB.",
        commands=(
            "curl -X POST $COORDINATOR_URL/resume -H 'Content-Type: application/json'"
            f' -d \'{{"batch_id": "{batch_id}"}}\'',
        ),
        coverage=count_coverage(read_night(clients, game_date)),
        sources=merge_proofs.sources,
    )


def list_batch_tables(clients: Clients, batch_id: str) -> list[str]:
    """The names of a batch's staging tables that are there now."""
    listed = [table.table_id for table in list_staging_tables(clients, staging_prefix(batch_id))]
    return [name for name in listed if is_unit_table(name, batch_id)]


def _guards(clients: Clients, batch_id: str, game_date: date, proofs: tuple[MergeProof, ...]) -> Iterator[Guard]:
    unread = [proof for proof in proofs if proof.error]
    yield Guard(
        "tables readable",
        None if unread else True,
        unread[0].summary if unread else f"All {len(proofs)} tables can be read.",
    )
    running = next(iter(read_batches(clients, game_date).running), None)
    yield Guard(
        "no batch runs",
        running is None,
        f"{running.batch_id} is {running.state}." if running else f"No batch of {game_date} runs.",
    )
    has_rows = any(proof.rows for proof in proofs)
    yield Guard(
        "rows",
        has_rows,
        f"The tables of {batch_id} hold {'rows' if has_rows else 'no rows: there is nothing to merge'}.",
    )


def _consolidate(context: ActionContext) -> Details:
    instance_id = holder_id("desk")
    batch_id = context.plan.args["batch_id"]
    with translate_errors("BigQuery"):
        consolidator = Consolidator(BigQueryWarehouse(context.clients), instance_id)
        result = consolidator.consolidate(batch_id, parse_batch_date(batch_id))
    return {
        "staged rows": result.staged_rows,
        "inserted": result.inserted,
        "updated": result.updated,
        "unchanged": result.unchanged,
        "deactivated": result.deactivated,
        "merge job": result.merge_job_id,
    }


def _verify(clients: Clients, plan: Plan, details: Details) -> Verification:
    """Done when no table is left; a table that is left is reported with what it holds."""
    coverage_count = count_coverage(read_night(clients, parse_batch_date(plan.target)))
    remaining = list_batch_tables(clients, plan.target)
    coverage_text = format_coverage(coverage_count)
    if not remaining:
        counts_text = (
            f"{details['inserted']} rows added, {details['updated']} updated, {details['unchanged']} unchanged; "
            if "inserted" in details
            else ""
        )
        return Verification(
            ActionState.DONE,
            f"{counts_text}no staging table of the batch is left; {coverage_text}.",
            {"left": []},
            coverage_count,
        )
    proofs = read_proofs(clients, remaining).proofs
    unmerged = [proof for proof in proofs if not proof.merged]
    if not unmerged:
        return Verification(
            ActionState.DONE,
            f"Every row is in the predictions table; {pluralize(len(remaining), 'staging table')} can be dropped;"
            f" {coverage_text}.",
            {"left": remaining},
            coverage_count,
        )
    return Verification(
        ActionState.FAILED,
        f"{pluralize(len(unmerged), 'staging table')} still hold rows of their own,"
        f" the first {unmerged[0].summary}; {coverage_text}.",
        {"left": remaining},
        coverage_count,
    )


CONSOLIDATE_BATCH = ActionType("staging.consolidate", "Consolidate now", plan_consolidate, _consolidate, _verify)
