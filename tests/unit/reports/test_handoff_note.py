"""The handoff note opens with the judgement of its night: health, headline, and each statement that is not proven."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.core.result import Problem
from services.judgement.judge import judge_night
from services.reports.handoff_note import HandoffInputs, render_markdown
from tests.support.alert_factories import make_players, make_rejected_players, ok_result
from tests.support.factories import NOW, make_night
from tests.support.night_facts import OUTDATED, SETTINGS, UNREAD, make_facts

PARTIAL = Problem("worker log", NOW, "The newest 10,000 lines were read.")


def make_inputs(**changes: Any) -> HandoffInputs:
    """The inputs of a note on a proven night that differs by `changes`; nothing else could be read."""
    return HandoffInputs(make_facts(**changes), NOW, *[UNREAD] * 6)


def first_lines(**changes: Any) -> list[str]:
    """What the note says between its title and its key numbers."""
    head = render_markdown(make_inputs(**changes), SETTINGS).partition("## Key numbers")[0]
    return [line for line in head.splitlines()[1:] if line]


def test_the_note_of_a_proven_night_opens_with_its_health_and_headline():
    assert first_lines() == [
        "**ok**: All 158 eligible players have active predictions",
        "Written 30 Dec 01:45 ET by Prediction On-Call from its records.",
    ]


def test_each_statement_that_is_not_proven_has_one_line_worst_first():
    night = make_night(*make_players(68), *make_rejected_players(90))
    judgement = judge_night(make_facts(night=ok_result(night), record=UNREAD), SETTINGS)
    lines = first_lines(night=ok_result(night), record=UNREAD)
    assert lines[0].startswith("**critical**: 90 of 158 players are missing: ")
    unproven = [statement for statement in judgement.statements if not statement.is_proven]
    assert len(unproven) > 1
    assert lines[1 : 1 + len(unproven)] == [
        f"- {statement.subject}, {statement.state}: {statement.sentence}" for statement in unproven
    ]


def test_outdated_partial_and_unread_sources_are_named():
    partial_night = ok_result(make_night(*make_players(158), problems=(PARTIAL,)))
    lines = first_lines(night=partial_night, usual=replace(make_facts().usual, outdated=OUTDATED))
    assert lines[0].startswith("**unknown**: ")
    assert f"- Old or incomplete: x, since 30 Dec 01:45 ET: {OUTDATED.message}" in lines
    assert "- Old or incomplete: worker log, since 30 Dec 01:45 ET: The newest 10,000 lines were read." in lines
    unread = first_lines(writes=UNREAD)
    assert "- Old or incomplete: x, since 30 Dec 01:45 ET: x did not answer." in unread


def test_a_section_written_from_an_old_reading_says_so():
    inputs = replace(make_inputs(), alerts=replace(UNREAD, problem=None, outdated=OUTDATED))
    assert f"- **Old:** {OUTDATED.message}" in render_markdown(inputs, SETTINGS)
