"""Stop a run: no further player is asked, what is staged stays; done only when the ledger says that the batch is stopped."""

from __future__ import annotations

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState
from services.actions.plan import Change, Guard, Params, Plan
from services.batches.state import STOPPABLE_STATES, BatchState
from services.core.commands import curl_command
from services.core.sources import RUN
from services.gcp.clients import Clients
from services.runs.actions import follow_batch, poll_progress, read_batch
from services.runs.coordinator_client import BatchProgress, read_coordinator, stop_batch


def plan_stop(clients: Clients, args: Params) -> Plan:
    """Stop `batch_id`: who has not been asked yet is not asked, what is staged stays, and the batch can be resumed."""
    batch = read_batch(clients, args)
    batch_id, coordinator = batch.batch_id, read_coordinator(clients)
    can_stop = batch.record_source == "ledger" and "stop" in coordinator.supports
    asks_players = batch.state in STOPPABLE_STATES
    progress = poll_progress(clients, coordinator.url, batch_id) if can_stop and asks_players else None
    return Plan(
        action_name="run.stop",
        target=batch.game_date.isoformat(),
        title=f"Stop {batch_id}",
        args={"batch_id": batch_id},
        preconditions={"asks players": asks_players, "coordinator": coordinator.url},
        changes=(
            Change("batch", "players are being asked", "stopped; a new run of the date may start"),
            Change("players not asked yet", "would be asked", "not asked until the batch is resumed"),
            Change("rows staged", "would be consolidated at the end", "stay in staging until the batch is resumed"),
        ),
        guards=(
            Guard(
                "coordinator can",
                can_stop,
                "The coordinator can stop it."
                if can_stop
                else f"{batch_id} cannot be stopped: its coordinator has no /stop.",
            ),
            Guard(
                "players are being asked",
                asks_players,
                f"{batch_id} is {batch.state}"
                + ("." if asks_players else ": it asks no player that could be stopped."),
            ),
        ),
        planned_at=clients.now(),
        undo="Resume the batch: what is staged is adopted, and who was not asked is asked.",
        cost="None.",
        warnings=_remaining_requests(progress),
        commands=(curl_command(clients.settings, "/stop", {"batch_id": batch_id}, coordinator.url),),
    )


def _remaining_requests(progress: BatchProgress | None) -> tuple[str, ...]:
    """How many players are without an outcome yet: no part of the plan's hash, because it changes every second."""
    if progress is None or progress.requested is None or progress.completed is None:
        return ("How many requests remain is not known.",) if progress is not None else ()
    remaining = progress.requested - progress.completed
    return (
        f"{remaining} of {progress.requested} requests remain; those under way are finished, the others are not sent.",
    )


def _stop(context: ActionContext) -> Details:
    url, batch_id = read_coordinator(context.clients).url, context.plan.args["batch_id"]
    stop_batch(context.clients, url, {"batch_id": batch_id})
    context.report_progress(f"Stop of {batch_id} requested.", batch_id=batch_id)
    return {"batch_id": batch_id}


def _verify_stop(clients: Clients, plan: Plan, _details: Details) -> Verification:
    """Done when the ledger says that the batch is stopped."""
    batch = read_batch(clients, plan.args)
    after = {"batch": batch.batch_id, "batch state": str(batch.state), "staged rows": batch.staged_rows}
    if batch.state is BatchState.STOPPED:
        return Verification(ActionState.DONE, f"{batch.batch_id}: {batch.status_text}.", after)
    if batch.state in STOPPABLE_STATES:
        return Verification(ActionState.IN_PROGRESS, f"{batch.batch_id} is {batch.state}.", after)
    return Verification(ActionState.FAILED, f"{batch.batch_id} was not stopped: it is {batch.state}.", after)


STOP_RUN = ActionType("run.stop", "Stop run", plan_stop, _stop, _verify_stop, RUN, follow=follow_batch)
