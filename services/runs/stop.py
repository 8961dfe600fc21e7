"""Stop a run: no further player is requested, staged rows stay; done only when the ledger records the batch as stopped."""

from __future__ import annotations

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState
from services.actions.plan import TITLE_SEPARATOR, Change, Guard, Params, Plan
from services.batches.state import STOPPABLE_STATES, BatchState
from services.core.commands import curl_command
from services.core.sources import RUN
from services.gcp.clients import Clients
from services.runs.actions import follow_batch, poll_progress, read_batch
from services.runs.coordinator_client import BatchProgress, read_coordinator, stop_batch


def plan_stop(clients: Clients, args: Params) -> Plan:
    """Stop `batch_id`: no further player is requested, staged rows stay, and the batch can be resumed."""
    batch = read_batch(clients, args)
    batch_id, coordinator = batch.batch_id, read_coordinator(clients)
    can_stop = batch.record_source == "ledger" and "stop" in coordinator.supports
    asks_players = batch.state in STOPPABLE_STATES
    progress = poll_progress(clients, coordinator.url, batch_id) if can_stop and asks_players else None
    return Plan(
        action_name="run.stop",
        target=batch.game_date.isoformat(),
        title=f"Stop run{TITLE_SEPARATOR}{batch_id}",
        args={"batch_id": batch_id},
        preconditions={"asks players": asks_players, "coordinator": coordinator.url},
        changes=(
            Change("batch", "requesting players", "stopped; a new run of the date may start"),
            Change("players not requested yet", "would be requested", "not requested until the batch is resumed"),
            Change("rows staged", "would be consolidated at the end", "stay in staging until the batch is resumed"),
        ),
        guards=(
            Guard(
                "coordinator supports it",
                can_stop,
                "The coordinator supports stop."
                if can_stop
                else f"{batch_id} can't be stopped: its coordinator has no /stop.",
            ),
            Guard(
                "players being requested",
                asks_players,
                f"{batch_id} is {batch.state}" + ("." if asks_players else ": no request is left to stop."),
            ),
        ),
        planned_at=clients.now(),
        undo="Resume the batch: staged rows are reused, remaining players requested.",
        cost="None.",
        warnings=_remaining_requests(progress),
        commands=(curl_command(clients.settings, "/stop", {"batch_id": batch_id}, coordinator.url),),
    )


def _remaining_requests(progress: BatchProgress | None) -> tuple[str, ...]:
    """How many players are without an outcome yet: no part of the plan's hash, because it changes every second."""
    if progress is None or progress.requested is None or progress.completed is None:
        return ("Remaining requests unknown.",) if progress is not None else ()
    remaining = progress.requested - progress.completed
    return (f"{remaining} of {progress.requested} requests remain; those in progress finish, the others are not sent.",)


def _stop(context: ActionContext) -> Details:
    url, batch_id = read_coordinator(context.clients).url, context.plan.args["batch_id"]
    stop_batch(context.clients, url, {"batch_id": batch_id})
    context.report_progress(f"Stop of {batch_id} requested.", batch_id=batch_id)
    return {"batch_id": batch_id}


def _verify_stop(clients: Clients, plan: Plan, _details: Details) -> Verification:
    """Done when the ledger records the batch as stopped."""
    batch = read_batch(clients, plan.args)
    after = {"batch": batch.batch_id, "batch state": str(batch.state), "staged rows": batch.staged_rows}
    if batch.state is BatchState.STOPPED:
        return Verification(ActionState.DONE, f"{batch.batch_id}: {batch.status_text}.", after)
    if batch.state in STOPPABLE_STATES:
        return Verification(ActionState.IN_PROGRESS, f"{batch.batch_id} is {batch.state}.", after)
    return Verification(ActionState.FAILED, f"{batch.batch_id} was not stopped: it is {batch.state}.", after)


STOP_RUN = ActionType("run.stop", "Stop run", plan_stop, _stop, _verify_stop, RUN, follow=follow_batch)
