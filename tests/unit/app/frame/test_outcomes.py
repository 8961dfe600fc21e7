"""The bell and the cards at the corner: what runs, what ended, what waits for a person, and for how long each is news."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from app.actions import action_feed
from app.state import reads, session
from services.actions.background import ActionHandle
from services.actions.log_reader import Action, ActionLog, ActionState
from services.auth.roles import Actor, Role
from services.core.errors import OnCallError
from services.core.result import DataSource, Result

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
SAVED = Action(
    action_id="a1",
    key="k1",
    attempt=1,
    action_name="aliases.edit",
    target="player_aliases",
    title="Save 4 aliases",
    actor="nora",
    role="operator",
    reason="",
    state=ActionState.DONE,
    message="4 aliases saved **bold**",
    started_at=NOW - timedelta(seconds=20),
    last_event_at=NOW - timedelta(seconds=10),
    ended_at=NOW - timedelta(seconds=10),
    recorded_by="test",
    plan_json="",
)
RUNNING = replace(
    SAVED, action_id="a2", key="k2", title="Re-run 90 players", state=ActionState.IN_PROGRESS, ended_at=None
)
ABANDONED = replace(RUNNING, action_id="a3", key="k3", title="Drop 6 tables", last_event_at=NOW - timedelta(hours=2))


def _frame(world):
    """A page with the bell and the cards."""
    import streamlit as st

    from app.actions import action_feed
    from app.frame import outcomes

    world.events.append("page")
    action_feed.hold_outcome(world.held_id)
    outcomes.render(world.read, st.container(), world.page, world.dialog_open)
    world.events.append("outcomes")


class World:
    """A page whose action log, clock and title are given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.actions: tuple[Action, ...] = ()
        self.handles: dict[str, ActionHandle] = {}
        self.now, self.page, self.dialog_open, self.held_id = NOW, "Overview", False, ""
        self.events: list[str] = []
        monkeypatch.setattr(session, "now", lambda: self.now)
        monkeypatch.setattr(session, "cached_clients", lambda: SimpleNamespace(now=lambda: self.now))
        monkeypatch.setattr(session, "actor", lambda: Actor("nora", Role.OPERATOR))
        monkeypatch.setattr(action_feed, "fetch_log", self.read)
        monkeypatch.setattr(reads, "forget_after", lambda _, *actions: self.events.append(f"read {len(actions)} anew"))
        monkeypatch.setattr(action_feed, "session_handles", lambda: self.handles)
        monkeypatch.setattr(action_feed, "progress_text", lambda action: action.message)
        monkeypatch.setattr(action_feed, "link_to", lambda *_: None)
        self.app = AppTest.from_function(_frame, kwargs={"world": self})

    def read(self) -> Result[ActionLog]:
        return Result(ActionLog(self.actions, DataSource("log", self.now)))

    def cards(self) -> list[str]:
        """What the cards say, after a run of the page."""
        self.app.run()
        assert not self.app.exception, self.app.exception
        return [caption.value for caption in self.app.caption if not caption.value.startswith("No actions")]

    def bell(self) -> str:
        """The label of the bell and its rows, after a run of the page."""
        self.cards()
        (bell,) = self.app.get("popover")
        return "\n".join([bell.proto.popover.label, *(text.value for text in bell.markdown)])


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


def test_an_outcome_is_a_card_with_its_undo_and_is_spoken(world):
    world.actions = (SAVED,)
    assert world.cards() == [r"4 aliases saved \*\*bold\*\*"]
    assert [button.label for button in world.app.button] == ["Undo"]
    (status,) = [html.proto.body for html in world.app.get("html")]
    assert 'role="status"' in status
    assert "Save 4 aliases: 4 aliases saved **bold**" in status


def test_a_card_stays_where_it_was_first_shown_and_does_not_come_again_elsewhere(world):
    world.actions = (SAVED,)
    assert world.cards()
    world.now += timedelta(seconds=5)
    world.page = "Runs"
    assert world.cards(), "its eight seconds are not over"
    world.now += timedelta(seconds=5)
    assert not world.cards()
    world.page = "Overview"
    assert world.cards(), "the pointer may be in it since"
    world.now += timedelta(minutes=2)
    assert not world.cards()
    assert "Save 4 aliases" in world.bell(), "the bell keeps what ended"


def test_what_ended_before_the_page_was_opened_is_no_news(world):
    world.actions = (replace(SAVED, ended_at=NOW - timedelta(minutes=1)),)
    assert not world.cards()
    assert "Save 4 aliases" in world.bell()


def test_the_bell_counts_what_runs_and_what_waits_for_a_person(world):
    world.actions = (RUNNING, SAVED)
    assert world.bell().startswith("Recent actions :blue-badge[1 running]")
    world.actions = (ABANDONED, SAVED)
    assert world.bell().startswith("Recent actions :orange-badge[1]")
    assert "Check and finish" in [button.label for button in world.app.button]
    world.actions = (SAVED,)
    assert world.bell().startswith("Recent actions\n")


def test_an_action_without_an_outcome_of_its_own_is_a_card_and_waits_in_the_bell(world):
    failed: Future[Action] = Future()
    failed.set_exception(OnCallError("Changed since: review the plan again."))
    world.handles = {
        "k": ActionHandle("k 1", "staging.drop", "6 tables", "Drop 6 tables", NOW - timedelta(minutes=5), failed)
    }
    assert world.cards() == ["Changed since: review the plan again."]
    assert world.bell().startswith("Recent actions :orange-badge[1]")
    dismiss = next(button for button in world.app.button if button.label == "Dismiss")
    assert dismiss.key == "dismiss k 1"


def test_an_open_plan_is_not_closed_by_the_end_of_another_action(world):
    world.actions, world.dialog_open = (RUNNING,), True
    world.cards()
    world.actions = (SAVED, replace(RUNNING, ended_at=NOW, state=ActionState.DONE))
    assert len(world.cards()) == 2


def test_what_an_action_changed_is_on_the_page_together_with_its_outcome(world):
    world.actions = (RUNNING,)
    assert not world.cards()
    world.actions = (replace(RUNNING, ended_at=NOW, state=ActionState.DONE),)
    world.events.clear()
    assert len(world.cards()) == 1
    assert world.events == ["page", "read 1 anew", "page", "outcomes"], "the first page showed what was before"
    world.events.clear()
    assert len(world.cards()) == 1
    assert world.events == ["page", "outcomes"]


def test_an_outcome_waits_for_the_page_that_does_not_show_it_yet(world):
    world.actions, world.held_id = (SAVED,), SAVED.action_id
    assert not world.cards()
    assert "Save 4 aliases" in world.bell()
    world.held_id = ""
    assert world.cards()


def make_handle(error: str = "", key: str = "k1 1", done: bool = False) -> ActionHandle:
    """An action that this session has begun; with an error it ended before it was recorded."""
    future: Future[Action] = Future()
    if error:
        future.set_exception(OnCallError(error))
    elif done:
        future.set_result(SAVED)
    return ActionHandle(key, "staging.drop", "6 tables", "Drop 6 tables", NOW - timedelta(seconds=2), future)


def test_an_action_that_has_begun_is_counted_once_before_and_after_the_log_has_it(world):
    world.handles = {"k1 1": make_handle()}
    said = world.bell()
    assert said.startswith("Recent actions :blue-badge[1 running]")
    assert "**Drop 6 tables**" in said
    assert "Running the checks again…" in said
    world.actions = (replace(RUNNING, key="k1"),)
    said = world.bell()
    assert said.startswith("Recent actions :blue-badge[1 running]")
    assert "Running the checks again…" not in said
    world.actions = (replace(SAVED, key="k1"),)
    assert "Running the checks again…" in world.bell(), "an earlier attempt with the same key has ended"


def test_an_action_that_ended_well_is_neither_starting_nor_waiting_for_a_person(world):
    world.handles = {"k1 1": make_handle(done=True)}
    assert not world.cards()
    assert world.bell().startswith("Recent actions\n")


def test_a_bell_without_actions_says_for_how_many_days_there_were_none(world):
    world.cards()
    assert [caption.value for caption in world.app.caption] == ["No actions in 7 days"]
    world.handles = {"k1 1": make_handle()}
    world.cards()
    assert not world.app.caption


def test_of_many_outcomes_the_newest_three_are_cards_and_the_newest_is_spoken(world):
    ended = [NOW - timedelta(seconds=age) for age in (9, 3, 6, 12)]
    world.actions = tuple(
        replace(SAVED, action_id=f"a{at:%S}", key=f"k{at:%S}", message=f"ended at {at:%S}", ended_at=at) for at in ended
    )
    assert world.cards() == ["ended at 57", "ended at 54", "ended at 51"]
    (status,) = [html.proto.body for html in world.app.get("html")]
    assert "Save 4 aliases: ended at 57" in status


def test_the_bell_lists_the_eight_that_ended_last_beside_what_runs(world):
    ended = [replace(SAVED, action_id=f"e{n}", key=f"e{n}", title=f"Ended {n}") for n in range(9)]
    world.actions = (RUNNING, *ended)
    said = world.bell()
    assert "Re-run 90 players" in said
    assert "Ended 7" in said
    assert "Ended 8" not in said


def test_an_outcome_is_news_for_thirty_seconds(world):
    world.actions = (replace(SAVED, ended_at=NOW - timedelta(seconds=30)),)
    assert not world.cards()
    world.actions = (replace(SAVED, ended_at=NOW - timedelta(seconds=29)),)
    assert world.cards()


def test_what_a_check_of_an_unfinished_action_found_is_a_card(world, monkeypatch):
    monkeypatch.setattr(action_feed, "last_finish", lambda: (NOW - timedelta(seconds=1), "It is still under way."))
    assert world.cards() == ["It is still under way."]
    assert not world.app.button
