"""What needs attention beside the headline, each with the page where it is fixed; and every check, in order or not."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from app.charts.html_parts import health_icon
from app.components import widgets
from services.core.result import Health
from services.judgement.judge import NightJudgement
from services.reports.attention import AttentionItem, list_attention
from services.reports.overview import Signal

MAX_ITEMS = 5
_LINK_LABELS = {
    "alerts": "Open alerts",
    "coverage": "Open coverage",
    "dml_errors": "Open writes",
    "missing_players": "Open players",
    "pipeline": "Open pipeline",
    "player_names": "Match names",
    "runs": "Open batch",
    "staging_tables": "Review tables",
    "worker_capacity": "Open capacity",
}


def render(judgement: NightJudgement, signals: Sequence[Signal]) -> None:
    """At most MAX_ITEMS lines, worst first, and folded below them all checks."""
    items = list_attention(judgement, signals)
    st.subheader(f"Needs attention :gray[{len(items)}]", anchor=False)
    st.html(to_html(items))
    rows = [(s.health, str(s.subject), s.sentence, s.page, s.state) for s in judgement.statements]
    rows += [(s.health, s.name, s.text, s.page, str(s.health)) for s in signals]
    passed = sum(health in (Health.OK, Health.NONE_EXPECTED) for health, *_ in rows)
    with st.expander(f"All checks: {passed} of {len(rows)} passed", key="all checks"):
        st.markdown("\n\n".join(widgets.signal_row(*row) for row in rows))


def to_html(items: Sequence[AttentionItem]) -> str:
    """The first MAX_ITEMS lines, and how many more there are."""
    rows = "".join(map(_item_html, items[:MAX_ITEMS]))
    if not items:
        rows = f"<li>{health_icon(Health.OK)}<div><b>Nothing needs attention</b></div></li>"
    more = f'<li class="mute">{len(items) - MAX_ITEMS} more in the checks below</li>' if len(items) > MAX_ITEMS else ""
    return f'<ul class="attention" aria-label="Needs attention">{rows}{more}</ul>'


def _item_html(item: AttentionItem) -> str:
    link = f'<a class="button" href="{escape(widgets.page_href(item.page))}">{_LINK_LABELS[item.page]}</a>'
    text = f"<div><b>{escape(item.title)}</b><small>{escape(item.detail)}</small></div>"
    return f"<li>{health_icon(item.health)}{text}{link}</li>"
