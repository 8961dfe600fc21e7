"""Run actions: start or re-run a night, resume a batch; followed to the end and done only when a re-read confirms it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date

from services.actions.action_type import ActionContext, ActionType, Details, ProgressReporter, Verification
from services.actions.log_reader import ActionState
from services.actions.plan import TITLE_SEPARATOR, Change, Guard, Params, Plan
from services.batches.ids import parse_batch_date
from services.batches.reader import Batch, read_batches
from services.batches.state import IN_PROGRESS_STATES, RESUMABLE_STATES
from services.core.commands import curl_command
from services.core.errors import InvalidInput, OnCallError, SourceUnavailable
from services.core.sources import RUN
from services.gcp.clients import Clients
from services.nights.coverage_count import count_coverage, format_coverage
from services.nights.player_stages import read_night
from services.runs.coordinator_client import (
    BatchProgress,
    read_coordinator,
    read_progress,
    resume_batch,
    start_run,
)
from services.runs.plan import plan_start

POLL_INTERVAL_S = 2.0
REPORT_INTERVAL_S = 10.0
PROGRESS_TIMEOUT_S = 90.0  # a batch that was accepted and does nothing for so long is a failure
MAX_WAIT_S = 3_600.0


class BatchNotProgressing(OnCallError):
    """The coordinator accepted the batch, and then nothing happened."""


def _start(context: ActionContext) -> Details:
    url = read_coordinator(context.clients).url
    origin = {"correlation_id": context.action_id, "parent_processor": context.actor.name}
    batch_id = start_run(context.clients, url, {**context.plan.preconditions["body"], **origin})
    context.report_progress(f"Started {batch_id}.", batch_id=batch_id)
    return {"batch_id": batch_id}


def follow_batch(context: ActionContext, details: Details) -> None:
    """Wait for the end of the batch that `details` name."""
    url = read_coordinator(context.clients).url
    wait_for_batch(context.clients, url, details["batch_id"], context.report_progress)


def wait_for_batch(clients: Clients, url: str, batch_id: str, report_progress: ProgressReporter) -> None:
    """Follow a batch until its coordinator reports its end; raises BatchNotProgressing when nothing moves."""
    started_at = last_progress_at = last_report_at = time.monotonic()
    last_state: tuple[object, ...] = ()
    while (now := time.monotonic()) - started_at < MAX_WAIT_S:
        progress = poll_progress(clients, url, batch_id)
        if progress is not None and progress.ended:
            return
        state = (progress.completed, progress.payload.get("state"), progress.status) if progress else ()
        if state != last_state:
            last_state, last_progress_at = state, now
        if progress is not None and now - last_report_at > REPORT_INTERVAL_S:
            report_progress(format_progress(progress))
            last_report_at = now
        if now - last_progress_at > PROGRESS_TIMEOUT_S:
            detail = format_progress(progress) if progress else "the coordinator has no such batch"
            raise BatchNotProgressing(f"{batch_id} was accepted, no progress for {PROGRESS_TIMEOUT_S:.0f} s: {detail}.")
        time.sleep(POLL_INTERVAL_S)


def poll_progress(clients: Clients, url: str, batch_id: str) -> BatchProgress | None:
    """The progress now; None also when the coordinator does not answer, which for a moment is not the end of a run."""
    try:
        return read_progress(clients, url, batch_id)
    except SourceUnavailable:
        return None


def format_progress(progress: BatchProgress) -> str:
    """How far a batch is, in one line for the record."""
    total_text = f" of {progress.requested}" if progress.requested is not None else ""
    completed_text = "unknown" if progress.completed is None else progress.completed
    return f"{progress.payload.get('state', progress.status)}: {completed_text}{total_text} players done"


def _verify(clients: Clients, plan: Plan, details: Details) -> Verification:
    """Done only when every player of the plan has active rows now, whatever the coordinator reports."""
    game_date = date.fromisoformat(plan.target)
    night = read_night(clients, game_date)
    coverage_count = count_coverage(night)
    batch = _find_batch(clients, game_date, plan, details)
    after = {
        "batch": batch.batch_id if batch else "none",
        "batch state": str(batch.state) if batch else "none",
        "active rows": night.active_rows,
    }
    if batch is not None and batch.state in IN_PROGRESS_STATES:
        return Verification(ActionState.IN_PROGRESS, f"{batch.batch_id} is {batch.state}.", after, coverage_count)
    target_players = set(plan.preconditions["lost"]) or {p.player_lookup for p in night.eligible_players}
    still_missing = sorted(
        p.player_lookup
        for p in night.players
        if p.player_lookup in target_players and not p.active_rows and not p.shares_lookup_with
    )
    coverage_text = format_coverage(coverage_count)
    if batch is None:
        return Verification(
            ActionState.FAILED, f"No new batch of {game_date} was found; {coverage_text}.", after, coverage_count
        )
    if still_missing:
        names = ", ".join(still_missing[:5]) + (" …" if len(still_missing) > 5 else "")
        return Verification(
            ActionState.FAILED,
            f"{batch.batch_id} is {batch.state}, but {len(still_missing)} of {len(target_players)} are still missing:"
            f" {names}; {coverage_text}.",
            after,
            coverage_count,
        )
    return Verification(
        ActionState.DONE,
        f"{coverage_text}, {night.active_rows:,} rows; {batch.batch_id} is {batch.state}.",
        after,
        coverage_count,
    )


def _find_batch(clients: Clients, game_date: date, plan: Plan, details: Details) -> Batch | None:
    """The batch of this action: by its id, else, where the answer of a start was lost, one that began after the plan."""
    batch_id = details.get("batch_id") or plan.args.get("batch_id")
    return _find_recorded(
        clients,
        game_date,
        lambda b: b.batch_id == batch_id if batch_id else b.started is not None and b.started >= plan.planned_at,
    )


def _find_recorded(clients: Clients, game_date: date, is_sought: Callable[[Batch], bool]) -> Batch | None:
    """The newest such batch of a date; None when there is none. Raises OnCallError when the ledger, which may have it, is unreadable."""
    batches = read_batches(clients, game_date)
    batch = next(filter(is_sought, batches.batches), None)
    if batch is None and (problem := batches.ledger_problem) is not None:
        raise SourceUnavailable(f"The batches of {game_date} could not be read: {problem.message}", problem.hint)
    return batch


def read_batch(clients: Clients, args: Params) -> Batch:
    """The batch that `batch_id` names, as recorded now; raises InvalidInput when there is none."""
    batch_id = str(args.get("batch_id") or "")
    try:
        game_date = parse_batch_date(batch_id)
    except ValueError:
        raise InvalidInput(f"{batch_id!r} is not a batch.", "Select one on the Runs page.") from None
    batch = _find_recorded(clients, game_date, lambda b: b.batch_id == batch_id)
    if batch is None:
        raise InvalidInput(f"No batch {batch_id} is recorded.", "Select one on the Runs page.")
    return batch


def plan_resume(clients: Clients, args: Params) -> Plan:
    """Resume `batch_id`: staged rows are reused, remaining players requested again, then one MERGE."""
    batch = read_batch(clients, args)
    batch_id, game_date = batch.batch_id, batch.game_date
    coordinator = read_coordinator(clients)
    coverage_count = count_coverage(read_night(clients, game_date))
    can_resume = batch.record_source == "ledger" and "resume" in coordinator.supports
    stopped = batch.state in RESUMABLE_STATES
    return Plan(
        action_name="run.resume",
        target=game_date.isoformat(),
        title=f"Resume batch{TITLE_SEPARATOR}{batch_id}",
        args={"batch_id": batch_id},
        preconditions={
            "state": str(batch.state),
            "staged rows": batch.staged_rows,
            "lost": {},
            "coordinator": coordinator.url,
        },
        changes=(
            Change("batch", f"{batch.state}: {batch.status_text}", "running, then consolidated"),
            Change(
                "players",
                f"{batch.generated if batch.generated is not None else 'unknown'} of {batch.requested} generated",
                "remaining players re-requested; staged rows reused",
            ),
        ),
        guards=(
            Guard(
                "coordinator supports it",
                can_resume,
                "The coordinator supports resume."
                if can_resume
                else "This batch's coordinator doesn't support resume: re-run its missing players, or consolidate its staging tables.",
            ),
            Guard("batch has stopped", stopped, f"{batch_id} is {batch.state}."),
        ),
        planned_at=clients.now(),
        undo="No one-click undo. Nothing is deleted; BigQuery time travel keeps the previous state for 7 days.",
        cost="1 MERGE at the end.",
        commands=(curl_command(clients.settings, "/resume", {"batch_id": batch_id}, coordinator.url),),
        coverage=coverage_count,
    )


def _resume(context: ActionContext) -> Details:
    url, batch_id = read_coordinator(context.clients).url, context.plan.args["batch_id"]
    resume_batch(context.clients, url, {"batch_id": batch_id})
    context.report_progress(f"{batch_id} resumed.", batch_id=batch_id)
    return {"batch_id": batch_id}


START_RUN = ActionType("run.start", "Start run", plan_start, _start, _verify, RUN, follow=follow_batch)
RESUME_BATCH = ActionType("run.resume", "Resume", plan_resume, _resume, _verify, RUN, follow=follow_batch)
