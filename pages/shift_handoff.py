"""Handoff note: the shift in Markdown for the next person on call, from records only."""

from __future__ import annotations

import streamlit as st

from app.actions import action_feed
from app.components import widgets
from app.state import reads, session
from services.judgement.judge import judge_night
from services.reports.handoff_note import render_markdown

cloud, game_date = session.cached_clients(), session.game_date()
inputs = reads.handoff_inputs(cloud, game_date, action_feed.fetch_log_async())
note_markdown = render_markdown(inputs, cloud.settings)
facts = inputs.facts
results = (
    facts.night,
    facts.batches,
    facts.writes,
    facts.usual,
    facts.record,
    inputs.capacities,
    inputs.deploys,
    inputs.history,
    inputs.alerts,
    inputs.action_log,
    inputs.schedule,
)
unreadable = sum(not part.ok for part in results)
records_text = f"written from {len(results) - unreadable} of {len(results)} records, nothing in it is typed by hand"
judgement = judge_night(facts, cloud.settings)
answer_col, button_col = widgets.answer_row()
with answer_col:
    details = [session.format_day(game_date), records_text]
    widgets.verdict(judgement.health, judgement.headline, details, facts.outdated)
button_col.download_button(
    "Download the note",
    note_markdown.encode(),
    file_name=f"handoff-{game_date}.md",
    mime="text/markdown",
    icon=":material/download:",
    type="primary",
    on_click="ignore",
)
preview_tab, markdown_tab = st.tabs(["As it reads", "Markdown"])
with preview_tab.container(border=True):
    st.markdown(
        note_markdown.replace("\n# ", "\n##### ").replace("# Handoff", "#### Handoff", 1).replace("\n## ", "\n##### ")
    )
markdown_tab.code(note_markdown, language="markdown", wrap_lines=True)
