"""Each source down, slow, empty, malformed or partial, on a green and on a red night, by the production readers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from services.alerts.evaluation import evaluate_rules
from services.alerts.facts import ChannelStatus, read_snapshot
from services.alerts.findings import NightContext
from services.core.result import Health
from services.gcp.clients import Clients
from services.judgement.judge import NightJudgement
from services.judgement.statement import Statement, Subject
from tests.faults.checks import open_night
from tests.faults.seeds import NIGHT
from tests.faults.slates import Slate, make_entries
from tests.support.memory_clients import memory_clients
from tests.support.troubles import BOUNDED, MESSAGES, PLATFORM, SOURCES, TROUBLES, troubled_clients

SLATE = Slate(make_entries(games=2, per_team=3))
NIGHT_DATA = {
    Subject.PLAYERS,
    Subject.ROWS,
    Subject.INPUTS,
    Subject.LINES,
    Subject.CONSERVATION,
    Subject.STAGING,
    Subject.NAMES,
}
AFFECTED = {
    "odds": NIGHT_DATA,
    "context": NIGHT_DATA,
    "predictions": NIGHT_DATA,
    "aliases": {Subject.ROWS, Subject.INPUTS, Subject.NAMES},
    "worker runs": {Subject.ROWS, Subject.BATCH},
    "batches": {Subject.CONSERVATION, Subject.BATCH},
    "player outcomes": {Subject.ROWS},
    "staging tables": {Subject.ROWS, Subject.STAGING, Subject.BATCH},
    "log": {Subject.ROWS, Subject.WRITES, Subject.BATCH},
    "job history": {Subject.WRITES},
    "Cloud Run": set(),
    "Cloud Scheduler": set(),
}
NAMES = {  # how the reasons name a source
    "odds": ("nights.odds", "nights.coverage_history"),
    "context": ("nights.context", "nights.coverage_history"),
    "predictions": ("nights.written_rows", "nights.coverage_history"),
    "aliases": ("aliases.all", "nights.coverage_history"),
    "worker runs": ("nights.worker_runs",),
    "batches": ("batches.states_by_date",),
    "player outcomes": ("batches.player_outcomes",),
    "staging tables": ("tables.list",),
    "log": ("Cloud Logging", "The log", "More lines match", "Which runs there were"),
    "job history": ("job history", "newest 7 jobs", "newest 6 jobs", "1 jobs are listed"),
}


def cells() -> Iterator[tuple[str, str]]:
    """Every source with every trouble that it may have; an empty log is another test's."""
    for source in SOURCES:
        for trouble in TROUBLES:
            is_possible = trouble != "partial" or source in BOUNDED
            if is_possible and (source, trouble) != ("log", "empty"):
                yield source, trouble


def judge(clients: Clients) -> tuple[NightJudgement, dict[str, str]]:
    """The judgement of the night, and the rules that fire, each with its message."""
    snapshot, now = read_snapshot(clients, (NIGHT,), ChannelStatus(is_set=True)), clients.now()
    judgement = NightContext(snapshot.nights[0], clients.settings, now).judgement
    fired = {r.rule.name: r.message for r in evaluate_rules(snapshot, clients.settings, now) if r.firing}
    return judgement, fired


def is_other(statement: Statement, healthy: Statement) -> bool:
    """Whether it is in another state than without the trouble, or for another reason."""
    return (statement.health, statement.problems) != (healthy.health, healthy.problems)


@pytest.fixture(params=["green", "red"])
def night(request):
    """A night whose batch has run; of the red one BigQuery has refused four of twelve players."""
    with open_night(SLATE) as night:
        if request.param == "red":
            night.world.project.refuse_row = lambda row: row["player_lookup"] in SLATE.eligible[:4]
        night.start()
        night.world.clock.at += timedelta(hours=4)
        yield night


def test_a_source_in_trouble_is_named_where_it_counts_and_nothing_else_changes(night):
    project = night.world.project
    healthy, fired_before = judge(memory_clients(project))
    is_red = healthy.health is Health.CRITICAL
    assert is_red or (healthy.health, fired_before) == (Health.OK, {})
    for source, trouble in cells():
        judgement, fired = judge(troubled_clients(project, source, trouble))
        cell = f"{source} {trouble}: {judgement.headline}"
        changed = {s.subject: s for s in judgement.statements if is_other(s, healthy.get(s.subject))}
        counts_lost_writes = {Subject.WRITES} if is_red and AFFECTED[source] is NIGHT_DATA else set()
        assert changed.keys() == AFFECTED[source] | counts_lost_writes, cell
        assert not any(statement.is_proven for statement in changed.values()), cell
        reasons = [problem.message for statement in changed.values() for problem in statement.problems]
        assert not [text for text in reasons if not any(name in text for name in NAMES[source])], (cell, reasons)
        words = MESSAGES.get(trouble, ("",))
        assert source in PLATFORM or any(word in text for text in reasons for word in words), (cell, reasons)
        assert fired.keys() - fired_before.keys() == {"unreadable"}, cell
        if source not in PLATFORM:
            assert judgement.health is not Health.OK, cell
        if is_red and Subject.PLAYERS not in changed:
            assert (judgement.health, judgement.headline) == (Health.CRITICAL, healthy.headline), cell


def test_an_empty_log_of_a_night_that_was_run_is_an_alert_of_its_own(night):
    """The job history and our ledger still prove the night."""
    healthy, fired_before = judge(memory_clients(night.world.project))
    judgement, fired = judge(troubled_clients(night.world.project, "log", "empty"))
    assert fired.keys() - fired_before.keys() == {"silence"}
    assert judgement.health is healthy.health
