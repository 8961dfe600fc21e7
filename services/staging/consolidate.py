"""Consolidate a leftover batch now: its staging tables into the predictions table by one MERGE, under the date's lease."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState
from services.actions.plan import Change, Guard, Params, Plan
from services.batches.closing import ADDED_SUMS, record_consolidated
from services.batches.ids import is_batch_id, is_unit_table, parse_batch_date, read_batch_date, staging_prefix
from services.batches.ledger import Ledger
from services.batches.staged_rows import read_contents
from services.batches.staging_listing import list_staging_tables
from services.core.errors import InvalidInput, OnCallError
from services.core.process_id import holder_id
from services.core.result import sum_or_unknown
from services.core.text import pluralize
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.nights.coverage_count import count_coverage, format_coverage
from services.nights.player_stages import read_night
from services.pipeline.consolidator import ConsolidationResult, Consolidator, NothingStaged
from services.pipeline.warehouse import BigQueryWarehouse
from services.staging.merge_proof import MergeProof, read_proofs, snapshot
from services.staging.running_batch import guard_no_batch_runs


def plan_consolidate(clients: Clients, args: Params) -> Plan:
    """Merge what the staging tables of `batch_id` hold; raises InvalidInput when there is no such table."""
    batch_id = str(args.get("batch_id") or "")
    names = list_batch_tables(clients, batch_id) if batch_id else []
    if not names:
        if not is_batch_id(batch_id):
            raise InvalidInput(f"{batch_id!r} is not a batch.", "Choose one on the staging page.")
        raise InvalidInput(
            f"{batch_id} has no staging table, so there is nothing to consolidate.", "Look at the list anew."
        )
    game_date = read_batch_date(batch_id) or _date_of_rows(clients, batch_id, names)
    merge_proofs = read_proofs(clients, names)
    proofs = merge_proofs.proofs
    rows = sum_or_unknown(proof.rows for proof in proofs)
    missing_rows = sum_or_unknown(proof.missing_rows for proof in proofs)
    changed_rows = sum_or_unknown(proof.changed_rows for proof in proofs)
    unchanged_rows = sum_or_unknown(
        None if p.rows is None or p.unmerged_rows is None else p.rows - p.unmerged_rows for p in proofs
    )
    return Plan(
        action_name="staging.consolidate",
        target=batch_id,
        title=f"Consolidate {batch_id}: {_format_count(rows)} rows of {pluralize(len(names), 'staging table')}",
        args={"batch_id": batch_id, "game_date": str(game_date)},
        preconditions={proof.table: snapshot(proof) for proof in proofs},
        changes=(
            Change("rows added", "", _format_rows(missing_rows, "whose key is not in the predictions table")),
            Change("rows updated", "", _format_rows(changed_rows, "whose key is there with other values")),
            Change("rows unchanged", "", _format_rows(unchanged_rows, "that are there as staged")),
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


def _date_of_rows(clients: Clients, batch_id: str, names: Sequence[str]) -> date:
    """The one game date of a batch whose id has none, such as `fallback_…`; raises InvalidInput when its rows have not one."""
    listed = [table for table in list_staging_tables(clients, staging_prefix(batch_id)) if table.table_id in names]
    contents = read_contents(clients, listed)
    dates = sorted({day for table in contents.values() for day in table.dates})
    if len(contents) < len(names) or any(table.keys is None for table in contents.values()) or not dates:
        raise InvalidInput(
            f"{batch_id} has no game date in its id, and its rows do not tell one yet.", "Look again in a minute."
        )
    if len(dates) > 1:
        raise InvalidInput(
            f"{batch_id} holds rows of {len(dates)} game dates, {dates[0]} to {dates[-1]}; a consolidation is of one.",
            "Re-run those dates, then drop its tables.",
        )
    return dates[0]


def list_batch_tables(clients: Clients, batch_id: str) -> list[str]:
    """The names of a batch's staging tables that are there now."""
    listed = [table.table_id for table in list_staging_tables(clients, staging_prefix(batch_id))]
    return [name for name in listed if is_unit_table(name, batch_id)]


def _guards(clients: Clients, batch_id: str, game_date: date, proofs: tuple[MergeProof, ...]) -> Iterator[Guard]:
    unread = [proof for proof in proofs if proof.error]
    yield Guard(
        "tables readable",
        None if unread else True,
        _format_unread(unread[0]) if unread else f"All {len(proofs)} tables can be read.",
    )
    yield guard_no_batch_runs(clients, game_date)
    rows = sum_or_unknown(proof.rows for proof in proofs)
    yield Guard("rows", rows is None or rows > 0, f"The tables of {batch_id} hold {_format_count(rows)} rows.")


def _format_count(count: int | None) -> str:
    return "an unknown number of" if count is None else f"{count:,}"


def _format_rows(count: int | None, which: str) -> str:
    return "unknown" if count is None else f"{count:,} {which}"


def _format_unread(proof: MergeProof) -> str:
    rows = "an unknown number of rows" if proof.rows is None else pluralize(proof.rows, "row")
    return f"{proof.table}, with {rows}, {proof.summary}."


def _game_date(plan: Plan) -> date:
    recorded = plan.args.get("game_date")  # plans of older versions have none
    return date.fromisoformat(recorded) if recorded else parse_batch_date(plan.target)


def _consolidate(context: ActionContext) -> Details:
    planned = set(context.plan.preconditions)
    consolidator = Consolidator(BigQueryWarehouse(context.clients), holder_id("desk"))
    try:
        with translate_errors("BigQuery"):
            result = consolidator.consolidate(context.plan.target, _game_date(context.plan))
    except OnCallError as error:
        left = list_batch_tables(context.clients, context.plan.target)
        if _misses_a_table(error) and (taken := planned - set(left)):  # by the customer's consolidator, or a sweep
            context.report_progress(f"Another process took {pluralize(len(taken), 'staging table')}.", taken=len(taken))
        raise
    return {
        **_correct_batch_state(context.clients, result),
        "taken": len(planned - {name.rpartition(".")[2] for name in result.tables}),
        "staged rows": result.staged_rows,
        "inserted": result.inserted,
        "updated": result.updated,
        "unchanged": result.unchanged,
        "deactivated": result.deactivated,
        "merge job": result.merge_job_id,
    }


def _correct_batch_state(clients: Clients, result: ConsolidationResult) -> Details:
    """The batch's state in the ledger after this consolidation; it is merged, whether or not that can be recorded."""
    sums = {name: getattr(result, name) for name in ADDED_SUMS}
    try:
        closed = record_consolidated(
            Ledger(clients), result.batch_id, result.game_date, holder_id("desk"), sums, result.tables
        )
    except OnCallError as error:
        return {"batch state": f"not corrected: {error}"}
    return {"batch state": str(closed.state)} if closed is not None else {}


def _misses_a_table(error: OnCallError) -> bool:
    return isinstance(error, NothingStaged) or "not found" in str(error).lower()


def _verify(clients: Clients, plan: Plan, details: Details) -> Verification:
    """Done only by the consolidator's own proof, which it records; a table that is left is reported with what it holds."""
    count = count_coverage(read_night(clients, _game_date(plan)))
    remaining = list_batch_tables(clients, plan.target)
    unmerged = [proof for proof in read_proofs(clients, remaining).proofs if not proof.merged]
    proven = "inserted" in details
    taken = int(details.get("taken") or 0)
    parts = [f"Another process took {pluralize(taken, 'staging table')} meanwhile."] if taken else []
    if proven:
        parts.append(
            f"{details['inserted']} rows added, {details['updated']} updated, {details['unchanged']} unchanged."
        )
    else:
        parts.append("This action merged nothing that is proven.")
    if unmerged:
        parts.append(
            f"{pluralize(len(unmerged), 'staging table')} still hold rows of their own: {unmerged[0].table} {unmerged[0].summary}."
        )
    elif remaining:
        parts.append(f"Every row of the {pluralize(len(remaining), 'staging table')} left is in the predictions table.")
    else:
        parts.append("No staging table of the batch is left.")
    parts.append(f"{format_coverage(count)}.")
    state = ActionState.FAILED
    if proven and not unmerged:
        state = ActionState.DONE
    elif not proven and not remaining:
        state = ActionState.UNVERIFIED
    return Verification(state, " ".join(parts), {"left": remaining}, count)


CONSOLIDATE_BATCH = ActionType("staging.consolidate", "Consolidate now", plan_consolidate, _consolidate, _verify)
