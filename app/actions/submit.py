"""Carries out a plan in the background, once, however often it is submitted."""

from __future__ import annotations

from app.actions import action_feed
from app.state import reads, session
from services.actions.action_type import ActionType
from services.actions.background import BACKGROUND
from services.actions.executor import execute
from services.actions.log_reader import Action
from services.actions.plan import Plan


def submit_plan(action_type: ActionType, plan: Plan, reason: str = "", confirmation: str = "") -> None:
    """Begin what a plan says, as it was shown; submitting the same plan again joins the first. For callbacks."""
    clients, actor, viewer_clients = session.operator_clients(), session.actor(), session.cached_clients()

    def act() -> Action:
        try:
            return execute(clients, actor, action_type, plan, reason, confirmation)
        finally:
            reads.forget(viewer_clients, action_type.changes)  # whatever the outcome, earlier reads are stale

    handle = BACKGROUND.submit(plan, actor.role, clients.now(), act)
    action_feed.session_handles()[handle.key] = handle


def is_running(plan: Plan) -> bool:
    """Whether this session has submitted the plan and it has not ended."""
    handles = action_feed.session_handles().values()
    return any(handle.key.startswith(plan.key) and not handle.ended for handle in handles)
