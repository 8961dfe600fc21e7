"""A night is green only when each statement is proven; the headline names the worst, with the button that repairs it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alerts.evaluation import evaluate_rules
from services.batches.reader import Batches
from services.batches.state import HEALTH_BY_BATCH_STATE, BatchState
from services.core.result import DataSource, Health, Problem, Result
from services.judgement.judge import judge_night
from services.judgement.statement import Repair, Subject
from services.nights.written_rows import SystemRows
from tests.support.alert_factories import (
    make_batch,
    make_batch_record,
    make_night_snapshot,
    make_players,
    make_rejected_players,
    make_rejection_burst,
    make_snapshot,
    make_unmerged_players,
    make_write_report,
)
from tests.support.factories import NOW, make_attempt, make_night
from tests.support.night_facts import OUTDATED, SETTINGS, UNREAD, judge, make_batches, make_counts, make_facts

PARTIAL = (Problem("worker log", NOW, "The newest 10,000 lines were read."),)
READINGS = [field.name for field in fields(make_facts()) if isinstance(getattr(make_facts(), field.name), Result)]


def test_a_night_is_green_when_everything_is_proven():
    assert (judge().health, judge().headline) == (Health.OK, "All 158 eligible players have active predictions")


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("state", ["unread", "outdated"])
def test_no_night_is_green_while_a_reading_is_missing_or_old(reading, state):
    old = replace(getattr(make_facts(), reading), outdated=OUTDATED)
    changes: dict[str, Any] = {reading: UNREAD if state == "unread" else old}
    judgement = judge(**changes)
    assert judgement.health is Health.UNKNOWN
    assert ("x did not answer" in judgement.headline) or ("98 s old" in judgement.headline)


PAGE_BY_SUBJECT = {
    Subject.PLAYERS: "missing_players",
    Subject.ROWS: "coverage",
    Subject.INPUTS: "coverage",
    Subject.LINES: "missing_players",
    Subject.NAMES: "missing_players",
    Subject.CONSERVATION: "runs",
    Subject.WRITES: "dml_errors",
    Subject.STAGING: "staging_tables",
    Subject.BATCH: "runs",
}


def test_every_statement_has_its_page_whether_it_is_proven_or_its_sources_are_unread():
    unread = judge(**dict.fromkeys(READINGS, UNREAD))
    for judgement in (judge(), unread):
        assert {statement.subject: statement.page for statement in judgement.statements} == PAGE_BY_SUBJECT
    texts = {statement.text for statement in unread.statements}
    assert texts == {"unknown since 01:45 ET (06:45 UTC): x did not answer."}


def test_the_headline_names_the_worst_statement_with_its_repair():
    night = Result(make_night(*make_players(153), *make_unmerged_players(5)))
    judgement = judge(night=night)
    assert judgement.headline.startswith("Staging tables: 5 players with unmerged rows in staging")
    assert judgement.repairs[0] is Repair.CONSOLIDATE
    assert judgement.details[0] == judgement.get(Subject.PLAYERS).sentence, "what the headline leaves out"


def test_what_the_headline_asks_for_is_repaired_first_and_each_repair_is_named_once():
    doubled = (SystemRows("ensemble_v1", 153, 3825, 3826, 1),)
    night = make_night(*make_players(100), *make_rejected_players(3), *make_unmerged_players(55), systems=doubled)
    judgement = judge(night=Result(night))
    asked = [statement.repair for statement in judgement.statements if statement.repair is not None]
    assert asked == [Repair.CONSOLIDATE, Repair.REMOVE_DUPLICATES, Repair.CONSOLIDATE]
    assert judgement.headline.startswith("58 of 158 players are missing: 55 of them staged")
    assert judgement.repairs == (Repair.CONSOLIDATE, Repair.REMOVE_DUPLICATES)


def test_what_is_proven_needs_no_repair():
    """Two of two hundred players: the night is above its threshold."""
    judgement = judge(night=Result(make_night(*make_players(199), *make_rejected_players(1))))
    players = judgement.get(Subject.PLAYERS)
    assert (players.is_proven, players.repair) == (True, Repair.RERUN_PLAYERS)
    assert Repair.RERUN_PLAYERS not in judgement.repairs


def test_everything_that_was_read_is_named_once():
    log, jobs = DataSource("log", NOW), DataSource("jobs", NOW)
    night = Result(make_night(*make_players(158), sources=(log, jobs)))
    writes = Result(replace(make_write_report(make_attempt()), sources=(jobs,)))
    sources = judge(night=night, writes=writes).sources
    assert (sources.count(log), sources.count(jobs)) == (1, 1)


NO_GAMES = Result(make_night(games=0, was_run=False))


def test_a_date_without_games_says_so_whatever_is_unread():
    judgement = judge(night=NO_GAMES, batches=UNREAD, writes=UNREAD)
    text = "No games on this date, so no predictions are expected"
    assert (judgement.health, judgement.headline, judgement.details) == (Health.NONE_EXPECTED, text, ())
    assert judgement.lead is judgement.get(Subject.PLAYERS)
    assert judgement.statements[0].health is Health.UNKNOWN


def test_on_a_date_without_games_what_is_wrong_leads_all_the_same():
    warned = judge(night=Result(make_night(games=0, was_run=False, unlisted_games=("g1",))))
    assert (warned.health, warned.lead.subject) == (Health.WARNING, Subject.INPUTS)
    burst, no_batch = Result(make_write_report(*make_rejection_burst())), Result(Batches((), ()))
    rejected = judge(night=NO_GAMES, writes=burst, batches=no_batch)
    assert (rejected.health, rejected.headline.partition(":")[0]) == (Health.WARNING, "DML errors")


def test_on_a_date_without_games_an_unread_source_does_not_hide_what_is_wrong():
    unlisted = Result(make_night(games=0, was_run=False, unlisted_games=("g1",)))
    judgement = judge(night=unlisted, writes=UNREAD)
    assert (judgement.health, judgement.get(Subject.INPUTS).health) == (Health.UNKNOWN, Health.WARNING)
    assert judgement.headline.startswith("DML errors: unknown since")


def nights() -> st.SearchStrategy[Any]:
    players = st.tuples(st.sampled_from((0, 68, 152, 158)), st.sampled_from((0, 1, 6, 90)), st.sampled_from((0, 2)))
    return st.builds(
        lambda counts, problems, was_run: make_night(
            *make_players(counts[0]),
            *make_rejected_players(counts[1]),
            *make_unmerged_players(counts[2]),
            problems=problems,
            was_run=was_run,
        ),
        players,
        st.sampled_from(((), PARTIAL)),
        st.sampled_from((True, None, False)),
    )


def batches() -> st.SearchStrategy[Any]:
    return st.builds(
        lambda state, source, problems: (
            make_batches(
                make_batch(state=state, health=HEALTH_BY_BATCH_STATE[state], record_source=source), problems=problems
            ).value
        ),
        st.sampled_from(BatchState),
        st.sampled_from(("ledger", "logs")),
        st.sampled_from(((), PARTIAL)),
    )


def readings(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Result[Any]]:
    """Known, outdated or unread."""
    known = st.builds(Result, values)
    return st.one_of(known, known, st.builds(lambda value: replace(value, outdated=OUTDATED), known), st.just(UNREAD))


RECORDS = (
    None,
    make_batch_record(requested=158, details=make_counts()),
    make_batch_record(requested=158, details=make_counts(staged=136)),
    make_batch_record(requested=158, details=make_counts(), inserted=None),
)
WRITES = tuple(
    replace(make_write_report(*attempts), problems=problems)
    for attempts in ([make_attempt()], make_rejection_burst())
    for problems in ((), PARTIAL)
)
FACTS = st.fixed_dictionaries(
    {
        "night": readings(nights()),
        "batches": readings(batches()),
        "writes": readings(st.sampled_from(WRITES)),
        "record": readings(st.sampled_from(RECORDS)),
        "usual": readings(st.just(make_facts().usual.value)),
    }
)
SUBJECT_BY_RULE = {
    "conservation": Subject.CONSERVATION,
    "inputs_shrunk": Subject.INPUTS,
    "lines": Subject.LINES,
    "names": Subject.NAMES,
}


@settings(max_examples=200, deadline=None)
@given(FACTS)
def test_no_night_is_green_unless_each_statement_is_proven_by_a_fresh_complete_reading(changes):
    facts = make_facts(**changes)
    judgement = judge_night(facts, SETTINGS)
    if judgement.health is not Health.OK:
        return
    assert all(statement.is_proven and not statement.problems for statement in judgement.statements)
    assert all(reading.ok and reading.outdated is None for reading in changes.values())
    night, found, writes = facts.night.value, facts.batches.value, facts.writes.value
    assert night
    assert found
    assert writes
    assert not found.problems
    assert not writes.problems
    active = sum(bool(player.active_rows) for player in night.eligible_players)
    assert active >= SETTINGS.coverage_warning_pct / 100 * len(night.eligible_players)


@settings(max_examples=100, deadline=None)
@given(FACTS)
def test_the_rules_of_a_night_have_the_state_of_its_statements(changes):
    judgement = judge_night(make_facts(**changes), SETTINGS)
    snapshot_changes = {("ledger" if name == "record" else name): value for name, value in changes.items()}
    snapshot = make_snapshot(make_night_snapshot(**snapshot_changes))
    health_by_rule = {result.rule.name: result.health for result in evaluate_rules(snapshot, SETTINGS, NOW)}
    for rule, subject in SUBJECT_BY_RULE.items():
        health = judgement.get(subject).health
        assert health_by_rule[rule] is (Health.OK if health is Health.NONE_EXPECTED else health)
