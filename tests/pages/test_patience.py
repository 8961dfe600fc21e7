"""How the pages ask: a slow source does not hold them up, a dead one is told with its first moment."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from app.state import background_cache as patience
from services.core.errors import SourceUnreadable
from services.core.result import Problem

START = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)


class Wall:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture(autouse=True)
def _fresh():
    patience.forget()
    patience.new_page()
    yield
    patience.forget()


@pytest.fixture
def wall() -> Wall:
    return Wall()


def down() -> int:
    raise SourceUnreadable("Cloud Run did not answer.", "Look again.")


def test_an_answer_is_a_known_reading(wall):
    reading = patience.begin("a", "Cloud Run", wall, lambda: 4)()
    assert (reading.value, reading.problem) == (4, None)


def test_a_failure_is_unknown_with_its_reason_and_its_moment(wall):
    reading = patience.begin("a", "Cloud Run", wall, down)()
    assert reading.value is None
    assert (reading.problem.sentence, reading.problem.remedy) == ("Cloud Run did not answer.", "Look again.")
    assert reading.problem.since == START


def test_a_failing_source_is_not_asked_again_at_once(wall):
    asked = []
    for _ in range(5):
        patience.begin("a", "Cloud Run", wall, lambda: asked.append(1) or down())()
    assert len(asked) == 1


def test_the_first_moment_of_a_failure_survives_every_later_try(wall, monkeypatch):
    monkeypatch.setattr(patience, "RETRY_AFTER_S", -1.0)
    for _ in range(3):
        problem = patience.begin("a", "Cloud Run", wall, down)().problem
        wall.at += timedelta(minutes=1)
    assert problem.since == START


def test_a_source_that_recovers_starts_a_new_failure_from_scratch(wall, monkeypatch):
    monkeypatch.setattr(patience, "RETRY_AFTER_S", -1.0)
    patience.begin("a", "Cloud Run", wall, down)()
    assert patience.begin("a", "Cloud Run", wall, lambda: 4)().known
    wall.at += timedelta(hours=1)
    assert patience.begin("a", "Cloud Run", wall, down)().problem.since == START + timedelta(hours=1)


def test_a_slow_source_is_told_as_slow_and_its_answer_is_taken_when_it_comes(wall, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE_S", 0.05)
    answered = threading.Event()
    ask = patience.begin("a", "Cloud Logging", wall, lambda: answered.wait(30) and 4)
    patience.new_page()
    late = ask()
    assert "Cloud Logging has not answered" in late.problem.sentence
    assert patience.waits()
    answered.set()
    monkeypatch.setattr(patience, "PATIENCE_S", 30.0)
    assert patience.begin("a", "Cloud Logging", wall, down)().value == 4  # the same question, still under way


def test_a_fault_of_ours_in_one_read_does_not_take_the_page_with_it(wall):
    reading = patience.begin("a", "The batches", wall, lambda: {}["missing"])()
    assert "could not be understood (KeyError)" in reading.problem.sentence


@dataclass(frozen=True)
class PartlyKnown:
    problems: tuple[Problem, ...]


def test_a_gap_inside_a_fact_keeps_its_first_moment_until_it_closes(wall):
    def look(*problems: Problem) -> PartlyKnown:
        return patience.begin("night", "The warehouse", wall, lambda: PartlyKnown(problems))().value

    later = START + timedelta(minutes=5)
    look(Problem("worker log", START, "down"))
    assert look(Problem("worker log", later, "down")).problems[0].since == START
    look()
    assert look(Problem("worker log", later, "down")).problems[0].since == later


# --- what is known already ---------------------------------------------------------------------------------------------------


def test_a_fresh_answer_is_given_without_asking(wall):
    asked = []
    for _ in range(3):
        assert patience.begin("a", "Cloud Run", wall, lambda: asked.append(1) or 4, fresh_for_s=60)().value == 4
    assert len(asked) == 1


def test_an_older_answer_is_shown_while_it_is_asked_anew_and_then_the_new_one(wall, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE_KNOWN_S", 0.05)
    patience.begin("a", "Cloud Run", wall, lambda: "old")()
    answered = threading.Event()
    ask = patience.begin("a", "Cloud Run", wall, lambda: answered.wait(30) and "new")
    monkeypatch.setattr(patience, "SHOWN_CALMLY_S", 0.0)
    patience.new_page()
    assert ask().value == "old"
    assert patience.waits()
    answered.set()
    monkeypatch.setattr(patience, "PATIENCE_KNOWN_S", 30.0)
    assert patience.begin("a", "Cloud Run", wall, down)().value == "new"


def test_an_answer_too_old_to_be_shown_is_unknown_while_the_source_is_silent(wall, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE_S", 0.05)
    monkeypatch.setattr(patience, "SHOWN_FOR_S", -1.0)
    patience.begin("a", "Cloud Run", wall, lambda: "old")()
    answered = threading.Event()
    assert not patience.begin("a", "Cloud Run", wall, lambda: answered.wait(30))().known
    answered.set()


def test_a_source_that_fails_is_unknown_though_it_was_known_before(wall):
    patience.begin("a", "Cloud Run", wall, lambda: "old")()
    assert not patience.begin("a", "Cloud Run", wall, down)().known


def test_what_was_asked_before_an_action_is_not_shown_after_it(wall, monkeypatch):
    answered = threading.Event()
    before = patience.begin("a", "Cloud Run", wall, lambda: answered.wait(30) and "before")
    patience.forget()
    answered.set()
    before()
    assert patience.begin("a", "Cloud Run", wall, lambda: "after", fresh_for_s=60)().value == "after"


def test_answers_that_nobody_looks_at_make_room(wall, monkeypatch):
    monkeypatch.setattr(patience, "MOST_KNOWN", 3)
    for night in range(5):
        patience.begin(night, "The warehouse", wall, lambda: "told", fresh_for_s=60)()
    assert patience.begin(4, "The warehouse", wall, lambda: "anew", fresh_for_s=60)().value == "told"
    assert patience.begin(0, "The warehouse", wall, lambda: "anew", fresh_for_s=60)().value == "anew"


def test_a_page_drawn_with_an_older_answer_knows_it_even_when_the_new_one_comes_before_its_end(wall, monkeypatch):
    monkeypatch.setattr(patience, "SHOWN_CALMLY_S", 0.0)
    patience.begin("a", "Cloud Run", wall, lambda: "old")()
    answered = threading.Event()
    patience.new_page()
    assert patience.begin("a", "Cloud Run", wall, lambda: answered.wait(30) and "new")().value == "old"
    answered.set()
    monkeypatch.setattr(patience, "PATIENCE_KNOWN_S", 30.0)
    assert patience.begin("a", "Cloud Run", wall, down)().value == "new"
    assert patience.waits()
    patience.new_page()
    assert not patience.waits()


def test_all_questions_of_a_page_share_the_little_that_it_waits_for_what_it_can_show_older(wall, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE_KNOWN_S", 0.3)
    for key in "ab":
        patience.begin(key, "Cloud Run", wall, lambda: "old")()
    never = threading.Event()
    patience.new_page()
    assert patience.begin("a", "Cloud Run", wall, lambda: never.wait(30))().value == "old"
    assert patience.begin("b", "Cloud Run", wall, lambda: never.wait(0.1) or "new")().value == "old", "not waited for"
    never.set()


def test_a_slow_source_of_which_a_young_answer_is_shown_does_not_keep_the_page_restless(wall, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE_KNOWN_S", 0.0)
    patience.begin("a", "Cloud Run", wall, lambda: "young")()
    never = threading.Event()
    patience.new_page()
    assert patience.begin("a", "Cloud Run", wall, lambda: never.wait(30))().value == "young"
    assert not patience.waits()
    monkeypatch.setattr(patience, "SHOWN_CALMLY_S", 0.0)
    assert patience.begin("a", "Cloud Run", wall, lambda: never.wait(30))().value == "young"
    assert patience.waits()
    never.set()
