"""The notes of a thing and the dialog that adds one: nothing typed is lost, and no text of others is formatted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.actions import reason_form
from app.panels import notes_panel
from app.state import reads, session
from services.actions.log_reader import ActionLog
from services.auth.roles import Actor, Role
from services.core.result import DataSource, Problem, Result
from services.notes.note import About, Note, list_notes
from tests.unit.reports.test_handoff_note import NIGHT, make_note

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
NOTES = (
    make_note("About the night."),
    make_note("About Luka.", player="lukadoncic", action_id="a2"),
    make_note("Another night.", game_date="2025-12-28", action_id="a3"),
)


class World:
    """What the action log has, who looks, and what was submitted."""

    def __init__(self) -> None:
        self.log: Result[ActionLog] = Result(ActionLog(NOTES, DataSource("a test", NOW)))
        self.role = Role.OPERATOR
        self.submitted: list[Any] = []


@pytest.fixture
def world(monkeypatch):
    world: Any = World()
    clients = SimpleNamespace(now=lambda: NOW)
    monkeypatch.setattr(session, "cached_clients", lambda: clients)
    monkeypatch.setattr(session, "actor", lambda: Actor("nora", world.role))
    monkeypatch.setattr(session, "link_params", lambda: {"date": "2025-12-29"})
    monkeypatch.setattr(reads.action_log, "fetch_async", lambda *_: lambda: world.log)
    submit = lambda action_type, plan, reason="": world.submitted.append((action_type.name, dict(plan.args), reason))  # noqa: E731
    monkeypatch.setattr(reason_form, "submit_plan", submit)
    return world


def open_panel(**about: Any) -> AppTest:
    def page(about):
        from datetime import date

        from app.actions import dialog
        from app.panels import notes_panel

        notes_panel.render(date(2025, 12, 29), **about)
        dialog.render_dialog()

    return AppTest.from_function(page, kwargs={"about": about}).run()


def shown(app: AppTest) -> str:
    assert not app.exception, app.exception
    return "".join(html.proto.body for html in app.get("html"))


def test_a_night_has_its_notes_and_those_of_what_is_in_it_and_a_player_only_his():
    log = list_notes(NOTES)
    assert {note.text for note in log if notes_panel._belongs(note, NIGHT, About.NIGHT, "")} == {
        "About the night.",
        "About Luka.",
    }
    assert [note.text for note in log if notes_panel._belongs(note, NIGHT, About.PLAYER, "lukadoncic")] == [
        "About Luka."
    ]
    other = NIGHT - timedelta(days=1)
    assert not any(notes_panel._belongs(note, other, About.PLAYER, "lukadoncic") for note in log)


def test_the_notes_of_a_night_name_and_link_what_each_is_about(world):
    html = shown(open_panel())
    assert "About the night." in html
    assert '<a href="/player?date=2025-12-29&amp;player=lukadoncic">player lukadoncic</a>' in html
    assert "Another night." not in html


def test_a_log_that_cannot_be_read_is_unknown_and_not_without_notes(world):
    world.log = Result(None, Problem("The action log", NOW, "No answer."))
    app = open_panel()
    assert "Notes unknown" in app.caption[0].value
    assert app.button, "a note can be written nevertheless"


def test_a_note_beyond_the_limit_is_kept_and_counted_and_nothing_is_added(world):
    app = open_panel()
    app.button[0].click().run()
    app.text_area[0].set_value("x" * 10_000).run()
    assert app.text_area[0].value == "x" * 10_000
    assert any("10,000 of at most 2,000 characters: remove 8,000." in m.value for m in app.markdown)
    assert next(b for b in app.button if b.key == "reason form confirm").disabled
    next(b for b in app.button if b.key == "reason form cancel").click().run()
    app.button[0].click().run()
    assert app.text_area[0].value == "x" * 10_000, "it is there when the dialog is opened again"
    assert world.submitted == []


def test_a_note_is_added_as_it_was_typed_about_what_the_page_shows(world):
    app = open_panel(about=About.BATCH, subject="batch_2025-12-29_1767052078000")
    app.button[0].click().run()
    app.text_area[0].set_value("  Two lines,\nas typed. ").run()
    next(b for b in app.button if b.key == "reason form confirm").click().run()
    args = {"text": "Two lines,\nas typed.", "batch_id": "batch_2025-12-29_1767052078000", "game_date": "2025-12-29"}
    assert world.submitted == [("notes.add", args, "")]


def test_an_empty_note_is_refused_in_a_sentence(world):
    app = open_panel()
    app.button[0].click().run()
    next(b for b in app.button if b.key == "reason form confirm").click().run()
    assert any("Write a note." in m.value for m in app.markdown)
    assert world.submitted == []


def test_a_viewer_has_no_button(world):
    world.role = Role.VIEWER
    assert not open_panel().button


def test_what_is_written_is_shown_and_never_formatted():
    [note] = list_notes([NOTES[0]])
    hostile = "<img src=x onerror=alert(1)>\n**b** \u202e"
    html = notes_panel.to_html([replace(note, text=hostile, by="<b>n</b>")], is_night=True)
    assert "<img" not in html
    assert "<b>" not in html
    assert "\u202e" not in html
    assert "onerror=alert(1)&gt;\n**b** \\u202e" in html, "its lines stay lines"
    assert isinstance(note, Note)
