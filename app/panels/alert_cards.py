"""An alert in the list: what is wrong, who acknowledged it, who was notified, what fixes it, and its buttons."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import streamlit as st

from app.actions import dialog
from app.actions.reason_form import ReasonForm, form_button
from app.actions.submit import is_running, submit_plan
from app.components import text_format, widgets
from app.state import session
from services.actions.action_type import ActionType
from services.actions.plan import Params, Plan
from services.alerts.actions import ACKNOWLEDGE, REOPEN, RESOLVE, SILENCE, plan_transition
from services.alerts.alert_log import Alert, AlertState
from services.alerts.deliveries import delivery_records
from services.alerts.escalation import escalates_at
from services.alerts.rules import get_rule
from services.auth.roles import has_role
from services.staging.remove_duplicates import REMOVE_DUPLICATES

_SILENCE_DURATIONS_MIN = {"15 min": 15, "1 h": 60, "4 h": 240, "24 h": 1440}
_DELIVERED = {True: "notified", False: "not notified", None: "delivery not confirmed"}


def render_alert(alert: Alert, now: datetime, primary: bool = False) -> None:
    """An open alert as a card: worst facts first, its buttons beside them, its remedy and links below."""
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(widgets.badge(alert.severity), width="content")
            st.markdown(f"**{text_format.escape_markdown(alert.message)}**", width="stretch")
            alert_buttons(alert, now, primary)
        facts = [state_text(alert, now), f"since {text_format.format_day_time(alert.since)}", notification_text(alert)]
        st.caption(text_format.escape_markdown(" · ".join(facts)))
        render_related(alert)
        render_remedy(alert)
        with st.container(horizontal=True, gap="medium"):
            st.markdown(f":material/arrow_forward: {alert_link(alert)}", width="content")
            evidence_links(alert)


def alert_link(alert: Alert) -> str:
    """A link to an alert's page as Markdown; Streamlit's own would open the same page without a new address."""
    address = widgets.page_href("alerts", {**session.link_params(), "alert": alert.alert_id})
    return f"[{text_format.escape_markdown(alert.alert_id)}]({address})"


def state_text(alert: Alert, now: datetime) -> str:
    """Its state with who gave it, until when, and why."""
    state, change = alert.state(now), alert.last_state_change
    if state is AlertState.OPEN:
        return "Not acknowledged"
    until = f" until {text_format.format_clock_time(change.silent_until)}" if change.silent_until else ""
    return f"{state.capitalize()} by {change.actor}{until}" + (f": {change.reason}" if change.reason else "")


def notification_text(alert: Alert) -> str:
    """How the last message or page about it went, and when it goes to the second channel."""
    records, due_at = delivery_records(alert), escalates_at(alert, session.cached_clients().settings)
    last = "no notification sent"
    if records:
        newest = records[-1]
        last = f"{newest.channel} {_DELIVERED[newest.ok]} {text_format.format_exact_time(newest.at)}"
        last += "" if newest.ok else f": {newest.detail}"
    if due_at is None or alert.state(session.now()) is not AlertState.OPEN:
        return last
    return f"{last} · pages at {text_format.format_clock_time(due_at)} unless acknowledged"


def alert_buttons(alert: Alert, now: datetime, primary: bool) -> None:
    """What may be done with it in its state: acknowledge, silence, resolve, reopen, and what repairs its duplicates."""
    if alert.game_date and any(result["rule"] == "duplicates" for result in alert.rule_results):
        dialog.action_button(REMOVE_DUPLICATES, key=alert.alert_id, game_date=alert.game_date.isoformat())
    acknowledge_button(alert, primary)
    if not alert.ended:
        _form_button(SILENCE, alert, _SILENCE_DURATIONS_MIN)
        _form_button(RESOLVE, alert)
    if alert.state(now) is not AlertState.OPEN:
        dialog.action_button(REOPEN, key=alert.alert_id, alert_id=alert.alert_id)


def _form_button(action_type: ActionType, alert: Alert, durations: Mapping[str, int] | None = None) -> None:
    """Silence or resolve, by a dialog that asks for the reason."""

    def plan(args: Params) -> Plan:
        return plan_transition(action_type.name, alert, session.now(), args)

    title = f"{action_type.label} {alert.alert_id}"
    form = ReasonForm(action_type, title, alert.message, plan, durations or {})
    form_button(form, f"{action_type.label}…", key=title)


def acknowledge_button(alert: Alert, primary: bool = False) -> None:
    """The button that acknowledges an open alert with one click; nothing for a viewer, or where the alert is not open."""
    plan = plan_transition(ACKNOWLEDGE.name, alert, session.now(), {})
    if plan.failed_guards or not has_role(session.actor(), ACKNOWLEDGE.required_role):
        return
    running = is_running(plan)
    st.button(
        "Acknowledging…" if running else ACKNOWLEDGE.label,
        key=f"acknowledge {alert.alert_id}",
        type="primary" if primary else "secondary",
        disabled=running,
        on_click=submit_plan,
        args=(ACKNOWLEDGE, plan),
    )


def render_related(alert: Alert) -> None:
    """The other rules that fire for the same cause."""
    for result in alert.rule_results[1:]:
        title = text_format.escape_markdown(get_rule(result["rule"]).title)
        st.markdown(f":gray[Related:] {title}: {text_format.escape_markdown(result['sentence'])}")


def render_remedy(alert: Alert) -> None:
    """What fixes it in the present state."""
    st.markdown(f":material/build: {text_format.escape_markdown(alert.hint or get_rule(alert.rule).hint)}")


def evidence_links(alert: Alert) -> None:
    """The page with the data of its rule, and the log search that shows its lines."""
    rule = get_rule(alert.rule)
    date_params = {"date": alert.game_date.isoformat()} if alert.game_date else session.link_params()
    if rule.page != "alerts":
        st.page_link(f"../pages/{rule.page}.py", label="View data", icon=":material/search:", query_params=date_params)
    if rule.log_preset:
        log_params = {**date_params, "search": rule.log_preset}
        st.page_link("../pages/logs.py", label="View logs", icon=":material/article:", query_params=log_params)
