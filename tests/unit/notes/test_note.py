"""A note is an action: its record is the note, it is read back as it was written, and what cannot be one changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.actions.executor import ActionRefused, execute
from services.actions.log_reader import ActionState, read_action_log, recent_window
from services.alerts.actions import ACKNOWLEDGE
from services.alerts.alert_log import WATCHDOG, Event, EventType, append_event
from services.auth.roles import Actor, InsufficientRole, Role
from services.batches.ids import MAX_NAME_LENGTH
from services.core.errors import InvalidInput
from services.core.result import Health
from services.notes.add import ADD_NOTE, MAX_NOTE_LENGTH, plan_note
from services.notes.note import About, find_subject, list_notes, notes_of_night, notes_window
from tests.support.actors import OPERATOR

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
NIGHT = date(2025, 12, 29)
ALERT_ID = "coverage-2025-12-29"
TEXT = "Lines of LAL and BOS came late.\nWaiting for the **vendor** until 19:00."


@pytest.fixture
def clients(records) -> Any:
    clients = records.clients()
    fields = (ALERT_ID, 1, EventType.OPENED, NOW, WATCHDOG, "coverage", NIGHT, Health.CRITICAL, "coverage", "Short.")
    append_event(clients, Event(*fields))
    return clients


def add(clients: Any, actor: Actor = OPERATOR, **args: Any) -> Any:
    return execute(clients, actor, ADD_NOTE, ADD_NOTE.plan(clients, args))


def notes(clients: Any) -> Any:
    return list_notes(read_action_log(clients, *notes_window(NIGHT, NOW)).actions)


def test_a_note_is_recorded_once_with_who_and_when_and_read_back_as_it_was_written(clients):
    action = add(clients, text=f"  {TEXT} ", game_date="2025-12-29")
    assert (action.state, action.title) == (ActionState.DONE, "Add note · night Mon 29 Dec 2025")
    [note] = notes(clients)
    assert (note.by, note.at, note.text, note.about) == (OPERATOR.name, NOW, TEXT, About.NIGHT)
    assert notes_of_night([note], NIGHT) == (note,)
    assert notes_of_night([note], NIGHT - timedelta(days=1)) == ()


def test_the_same_text_written_later_is_another_note(clients, records):
    add(clients, text="Still waiting.", game_date="2025-12-29")
    records.clock.at = NOW + timedelta(hours=1)
    add(clients, text="Still waiting.", game_date="2025-12-29")
    assert [note.at for note in notes(clients)] == [NOW + timedelta(hours=1), NOW]


@pytest.mark.parametrize(
    ("args", "about", "subject", "night"),
    [
        ({"alert_id": ALERT_ID}, About.ALERT, ALERT_ID, NIGHT),
        ({"player": "lukadoncic", "game_date": "2025-12-29"}, About.PLAYER, "lukadoncic", NIGHT),
    ],
)
def test_a_note_names_what_it_is_about_and_its_night(clients, args, about, subject, night):
    add(clients, text="Look here.", **args)
    [note] = notes(clients)
    assert (note.about, note.subject, note.game_date) == (about, subject, night)


def test_a_batch_of_another_night_is_of_that_night():
    plan = plan_note(NOW, {"text": "x", "batch_id": "batch_2025-12-28_1766990000000"})
    assert plan.target == "batch_2025-12-28_1766990000000"
    assert find_subject(plan.args) == (About.BATCH, plan.target, date(2025, 12, 28))


@pytest.mark.parametrize(
    ("args", "about"),
    [
        ({"alert_id": "", "batch_id": None, "game_date": "2025-12-29"}, About.NIGHT),
        ({"player": "x-2025-12-28", "game_date": "2025-12-29"}, About.PLAYER),
        ({"alert_id": ALERT_ID, "game_date": "2025-12-28"}, About.ALERT),
    ],
)
def test_the_night_is_read_of_the_id_of_an_alert_alone_and_what_is_empty_is_not_named(args, about):
    found = find_subject(args)
    assert found is not None
    assert (found[0], found[2]) == (about, NIGHT)


def test_what_is_no_note_that_was_added_is_none(clients):
    added = add(clients, text="x", game_date="2025-12-29")
    seen = execute(clients, OPERATOR, ACKNOWLEDGE, ACKNOWLEDGE.plan(clients, {"alert_id": ALERT_ID}))
    about_nothing = json.dumps({**json.loads(added.plan_json), "args": {"text": "x"}})
    others = [
        seen,
        replace(added, state=ActionState.FAILED),
        replace(added, plan_json="{}"),
        replace(added, plan_json=about_nothing),
    ]
    assert [note.action_id for note in list_notes([*others, added])] == [added.action_id]


def test_notes_of_an_old_night_are_looked_for_from_two_days_before_it_and_of_a_recent_one_with_the_recent_actions():
    assert notes_window(date(2025, 11, 3), NOW)[0] == datetime(2025, 11, 1, tzinfo=UTC)
    assert notes_window(NIGHT, NOW) == recent_window(NOW)


def test_a_name_as_long_as_names_may_be_is_taken_and_a_longer_one_is_not_repeated_whole():
    longest = plan_note(NOW, {"text": "x", "player": "x" * MAX_NAME_LENGTH, "game_date": "2025-12-29"})
    assert len(longest.target) == MAX_NAME_LENGTH
    with pytest.raises(InvalidInput) as refused:
        plan_note(NOW, {"text": "x", "player": "x" * (MAX_NAME_LENGTH + 1), "game_date": "2025-12-29"})
    assert "x" * 41 not in refused.value.message


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({}, "none is named"),
        ({"player": "lukadoncic"}, "not a game date"),
        ({"game_date": "29 Dec"}, "not a game date"),
        ({"player": "x" * 300, "game_date": "2025-12-29"}, "300 characters"),
        ({"alert_id": "coverage-2025-01-01"}, "no alert"),
        ({"batch_id": "batch_x"}, "not a batch"),
    ],
)
def test_a_note_about_nothing_that_exists_is_refused_in_a_sentence(clients, records, args, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        add(clients, text="x", **args)
    assert records.tables["actions"] == []


def test_a_note_of_10000_characters_is_refused_with_the_number_to_remove(clients):
    with pytest.raises(ActionRefused, match="The note has 10,000 of 2,000 characters: shorten it by 8,000"):
        add(clients, text="x" * 10_000, game_date="2025-12-29")
    assert notes(clients) == ()
    assert add(clients, text="x" * MAX_NOTE_LENGTH, game_date="2025-12-29").state is ActionState.DONE


def test_an_empty_note_and_one_of_a_viewer_are_refused(clients):
    with pytest.raises(ActionRefused, match="Write a note"):
        add(clients, text=" \n ", game_date="2025-12-29")
    with pytest.raises(InsufficientRole):
        add(clients, Actor("vic", Role.VIEWER), text="x", game_date="2025-12-29")
    assert notes(clients) == ()


def test_a_note_that_the_log_does_not_have_is_not_called_done(clients):
    plan = ADD_NOTE.plan(clients, {"text": "x", "game_date": "2025-12-29"})
    assert ADD_NOTE.verify(clients, plan, {}).state is ActionState.FAILED
