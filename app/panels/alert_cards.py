"""An alert on the screen: what is wrong, what shows it, who took it, who was told, and what can be done with it."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from app.actions import dialog as actions
from app.components import text_format as words
from app.components import widgets
from app.state import session
from services.alerts.actions import ACKNOWLEDGE, REOPEN, RESOLVE, SILENCE
from services.alerts.alert_log import Alert, AlertState
from services.alerts.rules import rule_of

SILENCES = {"15 min": 15, "1 h": 60, "4 h": 240, "24 h": 1440}


def one(alert: Alert, now: datetime) -> None:
    """An alert with what shows it, what helps, and what can be done with it."""
    state = alert.state(now)
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(widgets.badge(alert.severity), width=106)
            st.markdown(f"**{words.plain(alert.sentence)}**", width="stretch")
        taken = "" if state is AlertState.OPEN else f" by {alert.change.actor}"
        until = f" until {words.clock_time(alert.change.silent_until)}" if alert.change.silent_until else ""
        why = f" · {alert.change.reason}" if alert.change.reason else ""
        told = f"{state}{taken}{until}{why} · since {words.day_time(alert.since)} · {message(alert)}"
        st.caption(words.plain(told))
        for finding in alert.findings[1:]:
            st.markdown(
                f":gray[also] {words.plain(rule_of(finding['rule']).title)}: {words.plain(finding['sentence'])}"
            )
        buttons(alert, state)


def message(alert: Alert) -> str:
    last = next((e for e in reversed(alert.events) if e.event in ("telling", "told", "not told")), None)
    if last is None:
        return "nobody was told yet"
    return f"{last.event} {words.exact_time(last.recorded_at)} {last.facts.get('delivery', '')}".strip()


def buttons(alert: Alert, state: AlertState) -> None:
    rule, key = rule_of(alert.rule), alert.alert_id
    date = {"date": alert.game_date.isoformat()} if alert.game_date else session.link()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if rule.page != "alerts":
            st.page_link(f"../pages/{rule.page}.py", label="Evidence", icon=":material/search:", query_params=date)
        if rule.search:
            log = {**date, "search": rule.search}
            st.page_link("../pages/logs.py", label="Log", icon=":material/article:", query_params=log)
        st.markdown(f":material/lightbulb: {words.plain(rule.remedy)}", width="stretch")
        if state is AlertState.OPEN:
            actions.offer(ACKNOWLEDGE, key=key, primary=True, alert_id=key)
        if state is not AlertState.OPEN:
            actions.offer(REOPEN, key=key, alert_id=key)
    # Not a popover: that would stay open above the plan that its buttons open. Drawn when opened: its script is half a megabyte.
    more = st.expander("What it means, by hand, silence, resolve", key=f"more {key}", on_change="rerun")
    if more.open:
        with more:
            _more(alert)


def _more(alert: Alert) -> None:
    rule = rule_of(alert.rule)
    st.caption(f"{words.plain(rule.means)} Source: {words.plain(rule.source)}.")
    for finding in alert.findings[:1]:
        if finding.get("command"):
            st.code(finding["command"], language="bash", wrap_lines=True)
    _quiet(alert.alert_id)


def _quiet(key: str) -> None:
    """Silence for a while, or close; both ask why."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        why = st.text_input("Why", key=f"why {key}", max_chars=200, width=320)
        length = st.segmented_control("For", list(SILENCES), default="1 h", key=f"for {key}", required=True)
        actions.offer(SILENCE, key=key, alert_id=key, minutes=SILENCES[length or "1 h"], why=why)
        actions.offer(RESOLVE, key=key, alert_id=key, why=why)
