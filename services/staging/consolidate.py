"""Consolidate a leftover batch now: its staging tables into the predictions table by one MERGE, under the date's lease."""

from __future__ import annotations

from datetime import date
from functools import partial

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState
from services.actions.plan import Plan
from services.batches.closing import ADDED_SUMS, record_consolidated
from services.batches.ids import parse_batch_date, read_batch_date
from services.batches.ledger import Ledger
from services.core.errors import OnCallError
from services.core.process_id import holder_id
from services.core.sources import RUN
from services.core.text import pluralize
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.nights.coverage_count import count_coverage, format_coverage
from services.nights.player_stages import read_night
from services.pipeline.consolidator import ConsolidationResult, Consolidator
from services.pipeline.manifest import NothingStaged
from services.pipeline.warehouse import BigQueryWarehouse
from services.staging.consolidate_plan import list_batch_tables, plan_consolidate
from services.staging.merge_proof import read_proofs


def _game_date(plan: Plan) -> date:
    recorded = plan.args.get("game_date")  # plans of older versions have none
    return date.fromisoformat(recorded) if recorded else parse_batch_date(plan.target)


def _consolidate(context: ActionContext) -> Details:
    planned = set(context.plan.preconditions)
    consolidator = Consolidator(BigQueryWarehouse(context.clients), holder_id("desk"))
    try:
        with translate_errors("BigQuery"):
            result = consolidator.consolidate(
                context.plan.target, _game_date(context.plan), on_merged=partial(_correct_ledger, context)
            )
    except OnCallError as error:
        left = list_batch_tables(context.clients, context.plan.target)
        if _misses_a_table(error) and (taken := planned - set(left)):  # by the customer's consolidator, or a sweep
            context.report_progress(
                f"Another process consolidated or dropped {pluralize(len(taken), 'staging table')}.", taken=len(taken)
            )
        raise
    return {
        "taken": len(planned - {name.rpartition(".")[2] for name in result.tables}),
        "staged rows": result.staged_rows,
        "inserted": result.inserted,
        "updated": result.updated,
        "unchanged": result.unchanged,
        "outdated": result.outdated,
        "deactivated": result.deactivated,
        "merge job": result.merge_job_id,
    }


def _correct_ledger(context: ActionContext, result: ConsolidationResult) -> None:
    """The batch's failed state is corrected. The rows are merged all the same when that fails: it is reported, not raised."""
    if read_batch_date(result.batch_id) is None:
        return  # our ledger has no batch without a date in its id
    sums = {name: getattr(result, name) for name in ADDED_SUMS}
    try:
        record_consolidated(
            Ledger(context.clients), result.batch_id, result.game_date, holder_id("desk"), sums, result.players
        )
    except OnCallError as error:
        context.report_progress(f"The batch log could not be updated: {error}")


def _misses_a_table(error: OnCallError) -> bool:
    return isinstance(error, NothingStaged) or "not found" in str(error).lower()


def _verify(clients: Clients, plan: Plan, details: Details) -> Verification:
    """Done only by the consolidator's own proof, which it records; a table that is left is reported with what it holds."""
    count = count_coverage(read_night(clients, _game_date(plan)))
    remaining = list_batch_tables(clients, plan.target)
    unmerged = [proof for proof in read_proofs(clients, remaining).proofs if not proof.merged]
    proven = "inserted" in details
    taken = int(details.get("taken") or 0)
    parts = [f"Another process consolidated or dropped {pluralize(taken, 'staging table')} meanwhile."] if taken else []
    if proven:
        parts.append(
            f"{details['inserted']} rows added, {details['updated']} updated, {details['unchanged']} unchanged."
        )
        if outdated := details.get("outdated"):  # records of older versions have none
            parts.append(f"{outdated} of these are older than the active rows, which stay.")
    else:
        parts.append("No merge by this action is verified.")
    if unmerged:
        parts.append(
            f"{pluralize(len(unmerged), 'staging table')} still hold unmerged rows: {unmerged[0].table} {unmerged[0].summary}."
        )
    elif remaining:
        parts.append(f"All rows of the remaining {pluralize(len(remaining), 'staging table')} are merged.")
    else:
        parts.append("No staging table of the batch remains.")
    parts.append(f"{format_coverage(count)}.")
    state = ActionState.FAILED
    if proven and not unmerged:
        state = ActionState.DONE
    elif not proven and not remaining:
        state = ActionState.UNVERIFIED
    return Verification(state, " ".join(parts), {"left": remaining}, count)


CONSOLIDATE_BATCH = ActionType("staging.consolidate", "Consolidate", plan_consolidate, _consolidate, _verify, RUN)
