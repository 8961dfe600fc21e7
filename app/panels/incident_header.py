"""The head of the overview: what is wrong and why, since when, who has it, and the buttons that fix it; a running run in its place."""

from __future__ import annotations

from html import escape

import streamlit as st

from app.charts.html_parts import CLASS_BY_HEALTH, head_html, section_html
from app.components import widgets
from app.panels import alert_cards, repair_buttons
from app.state import background_cache, session
from services.alerts.alert_log import AlertState
from services.judgement.facts import NightFacts
from services.judgement.judge import NightJudgement
from services.reports.incident import Fact, Incident, IncidentState

# Icon and CSS class of each state; the class tints the container by app/http/style.css.
_STYLES = {
    IncidentState.CRITICAL: ("error", "red"),
    IncidentState.WARNING: ("warning", "amb"),
    IncidentState.UNKNOWN: ("help", "vio"),
    IncidentState.NOT_RUN_YET: ("pending", "mute"),
    IncidentState.RUNNING: ("progress_activity", "acc"),
    IncidentState.VERIFIED: ("verified", "grn"),
    IncidentState.NONE_EXPECTED: ("remove", "mute"),
}


def render(incident: Incident, facts: NightFacts, judgement: NightJudgement) -> None:
    """The incident as text at once, then its buttons."""
    for problem in facts.outdated:
        background_cache.mention_once(problem.source)  # the head itself says so
    _, css_class = _STYLES[incident.state]
    with st.container(key=f"incident-{css_class}"):
        st.html(to_html(incident))
        session.yield_for_first_paint()
        with st.container(horizontal=True, gap="small", key="head actions"):
            if incident.alert is not None and incident.alert.state(facts.now) is AlertState.OPEN:
                alert_cards.acknowledge_button(incident.alert)
            repair_buttons.judgement_buttons(facts, judgement)


def to_html(incident: Incident) -> str:
    """The state of a night with its facts."""
    icon_name, css_class = _STYLES[incident.state]
    head = head_html(incident.title, incident.cause, (icon_name, css_class, str(incident.state)))
    return section_html(f'{head}<dl class="head-facts">{"".join(map(_fact_html, incident.facts))}</dl>')


def _fact_html(fact: Fact) -> str:
    value = escape(fact.value)
    if fact.alert_id:
        href = widgets.page_href("alerts", {**session.link_params(), "alert": fact.alert_id})
        value = f'<a href="{escape(href)}">{value}</a>'
    elif fact.health is not None:
        value = f'<span class="{CLASS_BY_HEALTH[fact.health]}">{value}</span>'
    detail = f" <small>{escape(fact.detail)}</small>" if fact.detail else ""
    return f"<div><dt>{escape(fact.label)}</dt><dd>{value}{detail}</dd></div>"
