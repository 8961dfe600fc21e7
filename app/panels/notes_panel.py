"""The notes about a night, batch, player or alert, the newest first, and the button that adds one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from html import escape

import streamlit as st

from app.actions.reason_form import ReasonForm, form_button
from app.components import widgets
from app.state import reads, session
from services.actions.plan import TITLE_SEPARATOR, Params, Plan
from services.core.clock import format_eastern
from services.core.text import to_printable
from services.notes.add import ADD_NOTE, plan_note
from services.notes.note import About, Note, list_notes, notes_of_night, notes_window

_PAGE_BY_SUBJECT = {
    About.ALERT: ("alerts", "alert"),
    About.BATCH: ("runs", "batch"),
    About.PLAYER: ("player", "player"),
}


def render(game_date: date, about: About = About.NIGHT, subject: str = "") -> None:
    """The notes about one thing, those of a night with all that is about its batches, players and alerts."""
    cloud, now = session.cached_clients(), session.now()
    reading = reads.action_log.fetch_async(cloud, *notes_window(game_date, now))
    args = {About.NIGHT.value: game_date.isoformat(), **({about.value: subject} if subject else {})}
    log = reading().value
    notes = [note for note in list_notes(log.actions) if _belongs(note, game_date, about, subject)] if log else []
    if log is None:
        st.caption("Notes unknown: the action log could not be read.")
    elif notes:
        st.html(to_html(notes, is_night=about is About.NIGHT))
    title, _, of_what = plan_note(now, args).title.partition(TITLE_SEPARATOR)
    form = ReasonForm(ADD_NOTE, title, f"About {of_what}", partial(_plan, args), is_note=True)
    form_button(form, "Add note", key=f"note {about} {subject} {game_date}", type="tertiary")


def _plan(about_args: dict[str, str], typed: Params) -> Plan:
    return plan_note(session.now(), {**about_args, **typed})


def _belongs(note: Note, game_date: date, about: About, subject: str) -> bool:
    if about is About.NIGHT:
        return bool(notes_of_night((note,), game_date))
    same_night = about is not About.PLAYER or note.game_date == game_date
    return note.about is about and note.subject == subject and same_night


def to_html(notes: Sequence[Note], is_night: bool) -> str:
    """The notes as a list under its heading; those of a night name what each is about, with a link to it."""
    items = "".join(_item_html(note, is_night) for note in notes)
    return f'<div class="notes"><h3>Notes <small>{len(notes)}</small></h3><ul aria-label="Notes">{items}</ul></div>'


def _item_html(note: Note, is_night: bool) -> str:
    text = "\n".join(map(to_printable, note.text.splitlines()))
    about = f" · {_link(note)}" if is_night and note.about is not About.NIGHT else ""
    by = f"{escape(to_printable(note.by))} · {format_eastern(note.at, '%-d %b %H:%M')}"
    return f"<li><p>{escape(text)}</p><small>{by}{about}</small></li>"


def _link(note: Note) -> str:
    page, param = _PAGE_BY_SUBJECT[note.about]
    href = widgets.page_href(page, {**session.link_params(), param: note.subject})
    return f'<a href="{escape(href)}">{escape(to_printable(note.label))}</a>'
