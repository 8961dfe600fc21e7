"""The state in which a consolidation leaves its batch, and its correction when another than its own run consolidated it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.batches.closing import close, record_consolidated, with_production
from services.batches.conservation import is_conserved
from services.batches.ledger import BatchRecord, Ledger, PlayerOutcome
from services.batches.state import RESUMABLE_STATES, BatchState
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import SimulatedClock, memory_clients
from tests.support.memory_rows import NIGHT

BATCH = f"batch_{NIGHT}_1767078000000"
PLAYERS = ("ann", "bob", "cid")
ENTRY = BatchRecord(
    BATCH, NIGHT, BatchState.CONSOLIDATING, 4, "coordinator", requested=3, details={"players": list(PLAYERS)}
)
SUMS = {"distinct_keys": 9, "collapsed_rows": 1, "inserted": 4, "updated": 3, "unchanged": 2, "deactivated": 5}


def make_outcomes(**outcomes: str) -> dict[str, PlayerOutcome]:
    return {
        name: PlayerOutcome(
            name,
            f"p_{name}",
            outcome,
            produced_rows=10 if outcome in ("staged", "write rejected") else None,
            staged_rows=10 if outcome == "staged" else None,
        )
        for name, outcome in outcomes.items()
    }


@pytest.mark.parametrize(
    ("outcomes", "state", "reason"),
    [
        ({"ann": "staged", "bob": "staged", "cid": "staged"}, BatchState.CONSOLIDATED, ""),
        ({"ann": "staged", "bob": "not generated", "cid": "staged"}, BatchState.CONSOLIDATED, ""),
        (dict.fromkeys(PLAYERS, "not generated"), BatchState.CONSOLIDATED, "nothing was staged"),
        (
            {"ann": "staged", "bob": "no answer", "cid": "internal error"},
            BatchState.STALLED,
            "consolidated staged rows; 2 of 3 players gave no answer",
        ),
        (
            {"ann": "staged", "bob": "staged"},  # nothing is recorded of cid
            BatchState.STALLED,
            "consolidated staged rows; 1 of 3 players gave no answer",
        ),
        (
            dict.fromkeys(PLAYERS, "no answer"),
            BatchState.STALLED,
            "nothing was staged; 3 of 3 players gave no answer",
        ),
        (
            {"ann": "staged", "bob": "write rejected", "cid": "staged"},
            BatchState.CONSOLIDATED,
            "the writes of 1 of 3 players were rejected: run them again",
        ),
        (
            {"ann": "not generated", "bob": "write rejected", "cid": "write rejected"},
            BatchState.STALLED,
            "nothing was staged; the writes of 2 of 3 players were rejected",
        ),
    ],
)
def test_a_batch_is_consolidated_when_each_of_its_players_has_answered(outcomes, state, reason):
    closed = close(ENTRY, make_outcomes(**outcomes), {}, {})
    assert (closed.state, closed.reason) == (state, reason)


def test_the_record_holds_the_sums_of_every_consolidation_of_the_batch():
    first = close(ENTRY, make_outcomes(ann="staged", bob="no answer"), {"staged_rows": 10, **SUMS}, {"fence": 1})
    assert (first.staged_rows, first.produced_rows, first.generated, first.staged_tables) == (10, 10, 1, 1)
    assert (first.fence, first.details["consolidated"]["players"]) == (1, ["ann"])
    assert is_conserved(first) is False
    resumed = replace(first, state=BatchState.CONSOLIDATING, staged_rows=30)
    second = close(
        resumed, make_outcomes(ann="staged", bob="staged", cid="staged"), {"staged_rows": 20, **SUMS}, {"fence": 2}
    )
    assert (second.staged_rows, second.inserted, second.deactivated, second.fence) == (30, 8, 10, 2)
    assert second.details["consolidated"]["players"] == list(PLAYERS)
    assert second.details["outcomes"]["staged"] == 3
    assert second.details["players"] == list(PLAYERS)


def test_rows_that_a_consolidation_found_and_no_worker_reported_leave_the_sum_unknown():
    outcomes = {"ann": PlayerOutcome("ann", "p_ann", "staged")}
    closed = close(replace(ENTRY, requested=1, details={"players": ["ann"]}), outcomes, {"staged_rows": 10, **SUMS}, {})
    assert (closed.state, closed.produced_rows, is_conserved(closed)) == (BatchState.CONSOLIDATED, None, None)


def test_a_consolidation_without_sums_adds_none_and_keeps_who_was_merged_before():
    first = close(ENTRY, make_outcomes(ann="staged", bob="no answer"), {"staged_rows": 10, **SUMS}, {})
    again = close(replace(first, state=BatchState.CONSOLIDATING), make_outcomes(bob="not generated"), {}, {})
    assert (again.staged_rows, again.inserted, again.details["consolidated"]["players"]) == (10, 4, ["ann"])


def test_what_workers_produced_and_staged_is_counted_by_their_answers():
    outcomes = make_outcomes(ann="staged", bob="write rejected", cid="no answer")
    record = with_production(ENTRY, outcomes.values())
    assert (record.generated, record.produced_rows, record.staged_rows, record.staged_tables) == (2, 20, 10, 1)
    adopted = PlayerOutcome("dan", "p_dan", "staged")
    unknown = with_production(ENTRY, [*outcomes.values(), adopted])
    assert (unknown.generated, unknown.produced_rows, unknown.staged_rows, unknown.staged_tables) == (3, None, None, 2)


def test_a_batch_whose_players_were_not_recorded_is_judged_by_its_outcomes():
    entry = replace(ENTRY, details={})
    assert close(entry, make_outcomes(ann="staged", bob="no answer"), {}, {}).reason.endswith(
        "1 of 2 players gave no answer"
    )


@pytest.fixture
def clients():
    project = MemoryProject(SimulatedClock())
    yield memory_clients(project)
    project.close()


def record_by_the_dashboard(clients, players=()):
    return record_consolidated(Ledger(clients), BATCH, NIGHT, "the dashboard", {"staged_rows": 10, **SUMS}, players)


@pytest.mark.parametrize("state", BatchState)
def test_a_consolidation_by_the_dashboard_corrects_the_state_of_a_batch_that_could_be_resumed(clients, state):
    ledger = Ledger(clients)
    ledger.append_state(replace(ENTRY, state=state))
    ledger.append_outcomes(
        BATCH, NIGHT, list(make_outcomes(ann="staged", bob="not generated", cid="not generated").values())
    )
    closed = record_by_the_dashboard(clients)
    if state not in RESUMABLE_STATES:
        assert closed is None
        return
    assert closed == ledger.latest(BATCH, NIGHT)
    assert (closed.state, closed.sequence, closed.holder) == (BatchState.CONSOLIDATED, 5, "the dashboard")
    assert (closed.inserted, is_conserved(closed)) == (4, True)


def test_a_batch_of_which_players_were_not_asked_stays_stopped(clients):
    Ledger(clients).append_state(replace(ENTRY, state=BatchState.STOPPED))
    closed = record_by_the_dashboard(clients, ["ann", "another"])
    assert closed is not None
    assert (closed.state, closed.reason) == (
        BatchState.STOPPED,
        "consolidated staged rows; 2 of 3 players were not requested",
    )
    assert (closed.not_asked, closed.requested) == (2, 3)
    assert is_conserved(closed) is False
    assert closed.details["consolidated"]["players"] == ["ann"], "its table was merged, though no outcome was recorded"
    [(player, outcome)] = Ledger(clients).player_outcomes(BATCH, NIGHT).items()
    assert (player, outcome.player_lookup, outcome.unit, outcome.outcome) == ("ann", "ann", "p_ann", "staged")


def test_a_batch_without_a_record_has_nothing_to_correct(clients):
    assert record_by_the_dashboard(clients) is None


def test_a_state_that_another_process_records_meanwhile_is_left_alone(clients, caplog):
    ledger = Ledger(clients)
    ledger.append_state(replace(ENTRY, state=BatchState.STALLED))
    resumed = replace(ENTRY, state=BatchState.RUNNING, sequence=5, holder="coordinator-b")

    def resume_first(call, phase, _subject):
        if (call, phase) == ("INSERT", "before"):
            clients.bigquery.hook = lambda *_: None
            ledger.append_state(resumed)

    clients.bigquery.hook = resume_first
    assert record_by_the_dashboard(clients) is None
    assert ledger.latest(BATCH, NIGHT) == resumed
    assert "was not corrected" in caplog.text
