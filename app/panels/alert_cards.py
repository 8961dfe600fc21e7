"""An alert on the screen: what is wrong, the evidence, who acknowledged it, who was notified, and its actions."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from app.actions import dialog
from app.actions.submit import is_running, submit_plan
from app.components import tables, text_format, widgets
from app.state import session
from services.alerts.actions import ACKNOWLEDGE, REOPEN, RESOLVE, SILENCE, plan_transition
from services.alerts.alert_log import Alert, AlertState
from services.alerts.deliveries import delivery_records
from services.alerts.escalation import escalates_at
from services.alerts.rules import get_rule
from services.auth.roles import has_role
from services.staging.remove_duplicates import REMOVE_DUPLICATES

SILENCE_DURATIONS_MIN = {"15 min": 15, "1 h": 60, "4 h": 240, "24 h": 1440}


def render_alert(alert: Alert, now: datetime) -> None:
    """An alert with its evidence, its repairs, and its actions."""
    state = alert.state(now)
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(widgets.badge(alert.severity), width=106)
            st.markdown(f"**{text_format.escape_markdown(alert.message)}**", width="stretch")
        actor_text = "" if state is AlertState.OPEN else f" by {alert.last_state_change.actor}"
        until_text = (
            f" until {text_format.format_clock_time(alert.last_state_change.silent_until)}"
            if alert.last_state_change.silent_until
            else ""
        )
        reason_text = f" · {alert.last_state_change.reason}" if alert.last_state_change.reason else ""
        since_text = f" · since {text_format.format_day_time(alert.since)} · {notification_text(alert)}"
        summary = f"{state}{actor_text}{until_text}{reason_text}{since_text}"
        st.caption(text_format.escape_markdown(summary))
        for result in alert.rule_results[1:]:
            st.markdown(
                f":gray[also] {text_format.escape_markdown(get_rule(result['rule']).title)}:"
                f" {text_format.escape_markdown(result['sentence'])}"
            )
        alert_buttons(alert, state)


def notification_text(alert: Alert) -> str:
    """How the last message or page about it went, and when it goes to the second channel."""
    records, due_at = delivery_records(alert), escalates_at(alert, session.cached_clients().settings)
    last = (
        f"{text_format.format_exact_time(records[-1].at)}: {records[-1].detail}"
        if records
        else "nobody was notified yet"
    )
    if due_at is None or alert.state(session.now()) is not AlertState.OPEN:
        return last
    return f"{last} · pages at {text_format.format_clock_time(due_at)} unless acknowledged"


def notification_rows(alert: Alert) -> list[dict[str, str]]:
    """Each message and page about it, the newest first: its channel, time and result."""
    results = {True: "delivered", False: "not delivered", None: "unknown"}
    return [
        {
            "notified": text_format.format_day_time(record.at),
            "channel": record.channel,
            "result": results[record.ok],
            "answer": record.detail,
        }
        for record in reversed(delivery_records(alert))
    ]


def alert_buttons(alert: Alert, state: AlertState) -> None:
    rule, alert_id = get_rule(alert.rule), alert.alert_id
    date_params = {"date": alert.game_date.isoformat()} if alert.game_date else session.link_params()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if rule.page != "alerts":
            st.page_link(
                f"../pages/{rule.page}.py", label="Evidence", icon=":material/search:", query_params=date_params
            )
        if rule.log_preset:
            log_params = {**date_params, "search": rule.log_preset}
            st.page_link("../pages/logs.py", label="Log", icon=":material/article:", query_params=log_params)
        st.markdown(f":material/lightbulb: {text_format.escape_markdown(alert.hint or rule.hint)}", width="stretch")
        if alert.game_date and any(result["rule"] == "duplicates" for result in alert.rule_results):
            dialog.action_button(REMOVE_DUPLICATES, key=alert_id, game_date=alert.game_date.isoformat())
        if state is AlertState.OPEN:
            acknowledge_button(alert, primary=True)
        if state is not AlertState.OPEN:
            dialog.action_button(REOPEN, key=alert_id, alert_id=alert_id)
    # Not a popover: that would stay open above the plan that its buttons open. Drawn when opened: its script is half a megabyte.
    details = st.expander("What it means, by hand, silence, resolve", key=f"more {alert_id}", on_change="rerun")
    if details.open:
        with details:
            _details(alert)


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


def _details(alert: Alert) -> None:
    rule = get_rule(alert.rule)
    st.caption(f"{text_format.escape_markdown(rule.description)} Source: {text_format.escape_markdown(rule.source)}.")
    for result in alert.rule_results[:1]:
        if result.get("command"):
            st.code(result["command"], language="bash", wrap_lines=True)
    tables.text_table(
        notification_rows(alert), alt="Notifications of this alert, the newest first", empty="Nobody was notified yet."
    )
    _silence_form(alert.alert_id)


def _silence_form(alert_id: str) -> None:
    """Silence for a while, or close; both ask for a reason."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        reason = st.text_input("Why", key=f"why {alert_id}", max_chars=200, width=320)
        duration = st.segmented_control(
            "For", list(SILENCE_DURATIONS_MIN), default="1 h", key=f"for {alert_id}", required=True
        )
        dialog.action_button(
            SILENCE, key=alert_id, alert_id=alert_id, minutes=SILENCE_DURATIONS_MIN[duration or "1 h"], why=reason
        )
        dialog.action_button(RESOLVE, key=alert_id, alert_id=alert_id, why=reason)
