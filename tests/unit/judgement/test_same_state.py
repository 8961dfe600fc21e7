"""The same night has the same state everywhere: pages, handoff note and alert rules show the judgement of the same facts."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.actions import action_feed, dialog
from app.components import widgets
from app.panels import incident_header, run_panels
from app.state import reads, session
from services.alerts.evaluation import evaluate_rules
from services.batches.state import BatchState
from services.core.result import Health, Result, worst
from services.judgement.facts import NightFacts
from services.judgement.judge import judge_night
from services.judgement.statement import Subject
from services.reports.handoff_note import HandoffInputs, render_markdown
from tests.support.alert_factories import make_batch, make_night_snapshot, make_players, make_snapshot
from tests.support.factories import NIGHT, NOW, TIP_OFF, make_night
from tests.support.night_facts import SETTINGS, UNREAD, make_batches, make_facts
from tests.support.paths import ROOT
from tests.unit.judgement.test_judge import FACTS

SUBJECTS_BY_PAGE = {
    "overview": tuple(Subject),
    "shift_handoff": tuple(Subject),
    "coverage": (Subject.PLAYERS, Subject.ROWS, Subject.INPUTS),
    "missing_players": (Subject.PLAYERS, Subject.ROWS, Subject.LINES),
    "runs": (Subject.BATCH,),
    "dml_errors": (Subject.WRITES,),
}
READING_BY_PAGE = {  # a page without its own reading has a notice in place of a verdict
    "coverage": "night",
    "missing_players": "night",
    "runs": "batches",
    "dml_errors": "writes",
}


class VerdictShownError(Exception):
    """Ends a page at its verdict."""


def make_inputs(facts: NightFacts) -> HandoffInputs:
    return HandoffInputs(facts, NOW, *[UNREAD] * 7)


@pytest.fixture(scope="module")
def show_page() -> Iterator[Callable[[str, NightFacts], Health | None]]:
    """Runs a page up to its verdict on these facts; returns the health of it, None where it has none."""
    shown: dict[str, Any] = {}

    def show_verdict(health: Health, *_: object, **__: object) -> NoReturn:
        shown["health"] = health
        raise VerdictShownError

    def judge_shown(*_: object) -> tuple[NightFacts, Any]:
        return shown["facts"], judge_night(shown["facts"], SETTINGS)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "cached_clients", lambda: SimpleNamespace(settings=SETTINGS, now=lambda: NOW))
        patch.setattr(session, "game_date", lambda: NIGHT)
        patch.setattr(reads, "judgement", judge_shown)
        platform = reads.PlatformReadings(*[UNREAD] * 5)
        patch.setattr(reads, "read_overview", lambda *_: (shown["facts"], platform))
        patch.setattr(reads, "handoff_inputs", lambda *_: make_inputs(shown["facts"]))
        patch.setattr(reads, "recent_history", lambda *_: UNREAD)
        patch.setattr(action_feed, "fetch_log_async", lambda: lambda: UNREAD)
        patch.setattr(dialog, "action_button", lambda *_, **__: None)
        patch.setattr(widgets, "value_or_notice", lambda result, *_: result.value)
        patch.setattr(widgets, "verdict", show_verdict)
        patch.setattr(action_feed, "fetch_log", lambda: UNREAD)
        patch.setattr(action_feed, "session_handles", dict)
        patch.setattr(run_panels, "run_card", lambda *args: show_verdict(args[2]))
        patch.setattr(incident_header, "render", lambda *args: show_verdict(args[-1].health))

        def show(page: str, facts: NightFacts) -> Health | None:
            shown.update(facts=facts, health=None)
            with suppress(VerdictShownError):
                runpy.run_path(str(ROOT / "pages" / f"{page}.py"))
            return shown["health"]

        yield show


NOWS = st.sampled_from((TIP_OFF - timedelta(hours=4), NOW))  # before the run deadline, and after it


@settings(max_examples=20, deadline=None)
@given(FACTS, NOWS)
def test_every_page_shows_the_judgement_of_its_night(show_page, changes, now):
    facts = make_facts(**changes, now=now)
    judgement = judge_night(facts, SETTINGS)
    for page, subjects in SUBJECTS_BY_PAGE.items():
        expected = worst(judgement.get(subject).health for subject in subjects)
        if subjects == tuple(Subject):
            expected = judgement.health
        reading = READING_BY_PAGE.get(page)
        has_verdict = reading is None or getattr(facts, reading).ok
        assert show_page(page, facts) is (expected if has_verdict else None), page


@settings(max_examples=40, deadline=None)
@given(FACTS, NOWS)
def test_the_handoff_note_and_the_coverage_rule_show_the_judgement_of_their_night(changes, now):
    facts = make_facts(**changes, now=now)
    judgement = judge_night(facts, SETTINGS)
    players = judgement.get(Subject.PLAYERS)
    lines = render_markdown(make_inputs(facts), SETTINGS).splitlines()
    assert lines[2] == f"**{judgement.health}**: {judgement.headline}"
    snapshot_changes = {("ledger" if name == "record" else name): value for name, value in changes.items()}
    snapshot = make_snapshot(make_night_snapshot(**snapshot_changes))
    results = {result.rule.name: result.health for result in evaluate_rules(snapshot, SETTINGS, now)}
    if results["coverage"] in (Health.CRITICAL, Health.WARNING):
        assert players.health is results["coverage"]
    if results["not_run"] is Health.CRITICAL:
        assert players.health is Health.CRITICAL
    if players.health in (Health.CRITICAL, Health.WARNING):
        assert players.health in (results["coverage"], results["not_run"])


def test_a_run_past_its_deadline_is_critical_on_the_page_and_in_the_alert(show_page):
    running = make_batches(make_batch(state=BatchState.RUNNING, ended=None, generated=68))
    night = Result(make_night(*make_players(68), *make_players(90, active_rows=0, written_rows=0, generated_rows=0)))
    facts = make_facts(night=night, batches=running)
    snapshot = make_snapshot(make_night_snapshot(night=night, batches=running))
    results = {result.rule.name: result.health for result in evaluate_rules(snapshot, SETTINGS, NOW)}
    assert {show_page(page, facts) for page in ("overview", "coverage", "missing_players")} == {Health.CRITICAL}
    assert results["coverage"] is Health.CRITICAL
