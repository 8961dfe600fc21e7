"""Handoff note: the shift for whoever comes next, in Markdown, from records only."""

from __future__ import annotations

import streamlit as st

from app.actions import status_strip as under_way
from app.components import widgets
from app.state import reads, session
from services.core.result import Health
from services.reports.handoff_note import write

cloud, game_date = session.cloud(), session.game_date()
shift = reads.shift(cloud, game_date, under_way.ask())
note = write(shift, cloud.settings)
parts = (shift.night, shift.batches, shift.widths, shift.history, shift.alerts, shift.log, shift.schedule)
unknown = sum(not part.known for part in parts)
health = Health.UNKNOWN if unknown else Health.OK
told = f"{unknown} of {len(parts)} records could not be read" if unknown else f"Written from {len(parts)} records"
answer, button = widgets.answer()
with answer:
    widgets.verdict(health, told, [session.day(game_date), "nothing in it is typed by hand"])
button.download_button(
    "Download the note",
    note.encode(),
    file_name=f"handoff-{game_date}.md",
    mime="text/markdown",
    icon=":material/download:",
    type="primary",
    on_click="ignore",
)
written, source = st.tabs(["As it reads", "Markdown"])
with written.container(border=True):
    st.markdown(note.replace("\n# ", "\n##### ").replace("# Handoff", "#### Handoff", 1).replace("\n## ", "\n##### "))
source.code(note, language="markdown", wrap_lines=True)
