"""Restores the duplicates that an action removed: the rows that it superseded are active again, each as it was."""

from __future__ import annotations

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import Action, ActionState, read_action
from services.actions.plan import TITLE_SEPARATOR, Change, Guard, Params, Plan
from services.core.errors import InvalidInput
from services.core.sources import JOBS, PREDICTIONS
from services.core.text import pluralize
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.staging.active_rows import read_active_rows
from services.staging.remove_duplicates import (
    REMOVE_DUPLICATES,
    bq_command,
    hold_lease,
    parse_game_date,
    removal_reason,
    require_digest,
)
from services.staging.running_batch import guard_no_batch_runs


def plan_restore_duplicates(clients: Clients, args: Params) -> Plan:
    """Make the rows active again that the action `action_id` superseded; raises InvalidInput for another action."""
    removal = _read_removal(clients, str(args.get("action_id") or ""))
    game_date = parse_game_date(removal.plan.args)
    active_rows = read_active_rows(clients, game_date)
    rows = active_rows.superseded.get(removal_reason(removal.action_id), 0)
    unchanged = active_rows.digest == removal.plan.preconditions["rows after"]
    return Plan(
        action_name="predictions.restore_duplicates",
        target=removal.action_id,
        title=f"Restore {pluralize(rows, 'duplicate')}{TITLE_SEPARATOR}{game_date}",
        args={"action_id": removal.action_id},
        preconditions={"active rows": active_rows.digest, "superseded rows": rows},
        changes=(
            Change(f"duplicates of {game_date}", f"{rows:,} rows superseded", "active, beside the newest of their key"),
        ),
        guards=(
            Guard("superseded rows", rows > 0, f"{pluralize(rows, 'row')} superseded by that action."),
            Guard(
                "rows unchanged since",
                unchanged,
                f"The active rows of {game_date} {'are unchanged' if unchanged else 'have changed'} since that action.",
            ),
            guard_no_batch_runs(clients, game_date),
        ),
        planned_at=clients.now(),
        undo="Remove the duplicates again.",
        cost=f"1 MERGE over the rows of the date. This plan billed {active_rows.source.bytes_billed / 2**20:,.0f} MiB.",
        commands=(
            bq_command(
                clients.settings,
                query_catalog.load("staging.restore_duplicates").sql,
                game_date,
                clients.now(),
                removal=removal_reason(removal.action_id),
            ),
        ),
        sources=(active_rows.source,),
    )


def _read_removal(clients: Clients, action_id: str) -> Action:
    action = read_action(clients, action_id)
    if action is None or action.action_name != REMOVE_DUPLICATES.name:
        raise InvalidInput("That action removed no duplicates.", "Open it in the action log.")
    return action


def _restore(context: ActionContext) -> Details:
    clients = context.clients
    removal = _read_removal(clients, context.plan.target)
    game_date = parse_game_date(removal.plan.args)
    with hold_lease(clients, game_date) as lease:
        require_digest(read_active_rows(clients, game_date), context.plan.preconditions["active rows"])
        query_catalog.run_query(
            clients,
            "staging.restore_duplicates",
            job_id=lease.merge_job_id,
            game_date=game_date,
            removal=removal_reason(removal.action_id),
            at=clients.now(),
        )
    return {"job": lease.merge_job_id}


def _verify(clients: Clients, plan: Plan, _details: Details) -> Verification:
    removal = _read_removal(clients, plan.target)
    active_rows = read_active_rows(clients, parse_game_date(removal.plan.args))
    after = {"keys with several active rows": len(active_rows.duplicates)}
    if active_rows.digest == removal.plan.preconditions["rows before"]:
        return Verification(ActionState.DONE, "The active rows are those from before the removal.", after)
    return Verification(ActionState.FAILED, "The active rows are not those from before the removal.", after)


RESTORE_DUPLICATES = ActionType(
    "predictions.restore_duplicates",
    "Make active again",
    plan_restore_duplicates,
    _restore,
    _verify,
    frozenset((PREDICTIONS, JOBS)),
)
