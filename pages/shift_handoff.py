"""Shift handoff: the shift in Markdown for the next on-call engineer."""

from __future__ import annotations

import streamlit as st

from app.actions import action_feed
from app.components import widgets
from app.panels import incident_download
from app.state import reads, session
from services.judgement.judge import judge_night
from services.reports.handoff_note import build_sections, join_note, render_head

cloud, game_date = session.cached_clients(), session.game_date()
inputs = reads.handoff_inputs(cloud, game_date, action_feed.fetch_log_async())
head, sections = render_head(inputs, cloud.settings), build_sections(inputs, cloud.settings)
note_markdown = join_note(head, sections)
facts = inputs.facts
judgement = judge_night(facts, cloud.settings)
answer_col, button_col = widgets.answer_row()
with answer_col:
    details = [f"generated from {inputs.source_count}"]
    widgets.verdict(judgement.health, judgement.headline, details, facts.outdated)
button_col.download_button(
    "Download Markdown",
    note_markdown.encode(),
    file_name=f"handoff-{game_date}.md",
    mime="text/markdown",
    icon=":material/download:",
    type="primary",
    on_click="ignore",
)
with button_col:
    incident_download.button(game_date)
preview_tab, markdown_tab = st.tabs(["Preview", "Markdown"])
with preview_tab.container(border=True):
    # The page's title is h1 and its headline h2; links stay in this tab.
    own_links = f"]({cloud.settings.dashboard_url}/"
    st.markdown(f"##{head}".replace(own_links, "](/"))
    for section in sections:
        text = "\n".join(section.lines).replace(own_links, "](/")
        if section.folded:
            st.expander(section.heading).markdown(text)
        else:
            st.markdown(f"#### {section.heading}\n{text}")
markdown_tab.code(note_markdown, language="markdown", wrap_lines=True)
