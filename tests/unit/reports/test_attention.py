"""What needs attention beside the headline: worst first, nothing twice, and what is not known is named."""

from __future__ import annotations

import pytest

from app.panels import attention_list
from app.state import session
from services.core.result import Health, Problem
from services.judgement.judge import NightJudgement
from services.judgement.players import LOSS_PHRASES
from services.judgement.statement import Statement, Subject, not_recorded
from services.nights.missing_players import LossReason
from services.reports.attention import AttentionItem, list_attention
from services.reports.overview import Signal
from tests.support.factories import NIGHT, NOW
from tests.support.night_facts import UNREAD, judge

PLAYERS = Statement(Subject.PLAYERS, Health.OK, "All 158 eligible players have active predictions", "coverage")


def night(*others: Statement, lead: Statement = PLAYERS) -> NightJudgement:
    """A night with these statements, of which `lead` is the headline."""
    return NightJudgement(NIGHT, lead.health, lead.sentence, (), (lead, *others), lead)


def make(subject: Subject, health: Health, text: str = "x", page: str = "runs", **changes: object) -> Statement:
    return Statement(subject, health, text, page, **changes)  # type: ignore[arg-type]


def test_when_all_is_well_nothing_needs_attention():
    signals = (
        Signal("Worker capacity", Health.OK, "12 concurrent", "worker_capacity"),
        Signal("Scheduler", Health.NONE_EXPECTED, "no scheduled runs expected", "alerts"),
    )
    assert list_attention(judge(), signals) == ()
    assert list_attention(night(not_recorded(Subject.ROWS, "rows: not recorded", "coverage")), ()) == ()
    assert "Nothing needs attention" in attention_list.to_html(())


def test_statements_and_signals_stand_worst_first_and_what_is_unknown_before_a_warning():
    statements = (
        make(Subject.BATCH, Health.WARNING),
        make(Subject.STAGING, Health.CRITICAL),
        make(Subject.LINES, Health.UNKNOWN),
        make(Subject.NAMES, Health.OK),
    )
    signals = (Signal("Scheduler", Health.CRITICAL, "paused", "alerts"),)
    items = list_attention(night(*statements), signals)
    assert [(item.health, item.detail) for item in items] == [
        (Health.CRITICAL, "Staging tables"),
        (Health.CRITICAL, "Scheduler"),
        (Health.UNKNOWN, "Lines"),
        (Health.WARNING, "Batch"),
    ]


@pytest.mark.parametrize("subject", list(Subject))
def test_the_headline_is_not_said_twice(subject):
    lead = make(subject, Health.CRITICAL)
    assert list_attention(night(lead=lead), ()) == ()


def test_rejected_writes_are_left_out_only_where_they_are_the_cause_in_the_headline():
    writes = make(Subject.WRITES, Health.CRITICAL, "90 of 158 writes rejected", "dml_errors")
    rejected, other = LOSS_PHRASES[LossReason.WRITE_REJECTED], LOSS_PHRASES[LossReason.NEVER_REQUESTED]
    for cause, shown in ((rejected, 0), (f"90 {rejected}", 0), (other, 1), ("", 1)):
        lead = make(Subject.PLAYERS, Health.CRITICAL, "90 of 158 players are missing", "coverage", cause=cause)
        assert len(list_attention(night(writes, lead=lead), ())) == shown, cause


@pytest.mark.parametrize(
    ("sentence", "title", "detail"),
    [
        ("225 rows unmerged", "225 rows unmerged", "Batch"),
        ("two tables; one of them is old; see there", "Two tables", "Batch · one of them is old; see there"),
        ("batch_x: stalled, 0 of 90 players", "Stalled, 0 of 90 players", "Batch · batch_x"),
        ("the night before: stalled", "The night before: stalled", "Batch"),
    ],
)
def test_a_sentence_is_what_is_so_and_its_detail(sentence, title, detail):
    (item,) = list_attention(night(make(Subject.BATCH, Health.WARNING, sentence)), ())
    assert item == AttentionItem(Health.WARNING, title, detail, "runs")


def test_a_part_that_could_not_be_read_is_named_with_its_reason():
    items = list_attention(judge(batches=UNREAD, writes=UNREAD, usual=UNREAD), ())
    assert {item.health for item in items} == {Health.UNKNOWN}
    assert any("x did not answer." in f"{item.title} {item.detail}" for item in items)
    old = make(Subject.BATCH, Health.UNKNOWN, problems=(Problem("x", NOW, "x does not answer"),))
    (item,) = list_attention(night(old), ())
    assert item.title == "X, but x does not answer"


def test_every_page_with_evidence_has_a_link_and_what_is_more_is_counted(monkeypatch):
    monkeypatch.setattr(session, "link_params", lambda: {"date": "2025-12-29"})
    pages = {statement.page for statement in judge().statements} | {"alerts", "staging_tables", "worker_capacity"}
    for page in sorted(pages):
        html = attention_list.to_html([AttentionItem(Health.WARNING, "<b>", "", page)])
        assert f'href="/{page}?date=2025-12-29"' in html
        assert "&lt;b&gt;" in html
    many = [AttentionItem(Health.WARNING, f"item {n}", "", "runs") for n in range(7)]
    assert "2 more in the checks below" in attention_list.to_html(many)
