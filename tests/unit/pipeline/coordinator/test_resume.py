"""The rest of a batch that stopped: what is proven is kept, and every other player is asked again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from google.api_core.exceptions import NotFound

from services.batches.business_key import BusinessKey, RowVersion
from services.batches.ledger import BatchRecord, PlayerOutcome
from services.batches.state import BatchState
from services.pipeline.coordinator import resume
from services.pipeline.coordinator.resume import Activation, WrongBatchState, adopt_staged, plan_resume
from services.pipeline.coordinator.run_request import NoEligiblePlayers, Run
from services.policy.eligibility import MIN_AVERAGE_MINUTES
from tests.support.memory_rows import NIGHT

BATCH = f"batch_{NIGHT}_1767078000000"
PREFIX = f"_staging_batch_{str(NIGHT).replace('-', '_')}_1767078000000_"
PLAYERS = ("ann", "bob", "cid")
ENTRY = BatchRecord(
    BATCH,
    NIGHT,
    BatchState.STALLED,
    4,
    "coordinator-a",
    started_by="ada",
    eligible=7,
    details={"players": list(PLAYERS), "min_minutes": 5},
)
CLIENTS = cast(Any, object())


@dataclass
class Tables:
    """Rows by staging table, named by its players, and the players who are eligible now; None: a date without games."""

    rows: dict[str, int] = field(default_factory=dict)
    eligible: tuple[str, ...] | None = PLAYERS
    asked: list[object] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)

    def list_staging_tables(self, prefix: str) -> list[str]:
        assert prefix == PREFIX
        return [f"nba_predictions.{PREFIX}{unit}" for unit in self.rows]

    def read_rows(self, table: str) -> Iterator[tuple[BusinessKey, RowVersion]]:
        unit = table.partition(PREFIX)[2]
        names = unit.removeprefix("p_").split("_and_")
        made_at = datetime(2025, 12, 29, tzinfo=UTC) + timedelta(minutes=list(self.rows).index(unit))
        for name in names:
            row = (BusinessKey(str(NIGHT), "g1", name, "s1", "20"), RowVersion(made_at, "1", is_active=True))
            yield from [row] * (self.rows[unit] // len(names))
        if unit in self.gone:  # while it is read
            raise NotFound(table)

    def plan_run(self, clients: object, game_date: object, *, min_minutes: float) -> Run | None:
        assert clients is CLIENTS
        self.asked.append((game_date, min_minutes))
        if self.eligible == ():
            raise NoEligiblePlayers("nobody")
        rows = cast(Any, tuple({"player_lookup": name} for name in self.eligible or ()))
        return None if self.eligible is None else Run("another id", NIGHT, 11, len(rows), rows, "nobody", 99.0)


@pytest.fixture
def tables(monkeypatch):
    tables = Tables()
    monkeypatch.setattr(resume, "plan_run", tables.plan_run)
    return tables


def outcome(player: str, name: str = "staged", **changes: Any) -> PlayerOutcome:
    return PlayerOutcome(player, f"p_{player}", name, **changes)


def adopted(player: str, rows: int) -> PlayerOutcome:
    table = f"nba_predictions.{PREFIX}p_{player}"
    return outcome(player, reason="adopted", produced_rows=rows, staged_rows=rows, staging_table=table)


def plan(tables: Tables, *outcomes: PlayerOutcome, entry: BatchRecord = ENTRY) -> Activation:
    return plan_resume(CLIENTS, cast(Any, tables), entry, {o.player_lookup: o for o in outcomes})


def asked(activation: Activation) -> list[str]:
    return [row["player_lookup"] for row in activation.run.players]


def test_a_batch_of_which_nothing_is_known_is_asked_again_as_it_was_started(tables):
    activation = plan(tables)
    assert activation == Activation(
        Run(BATCH, NIGHT, 11, 7, cast(Any, tuple({"player_lookup": name} for name in PLAYERS)), "ada", 5), ENTRY
    )
    assert (activation.known, activation.unrecorded) == ({}, ())
    assert tables.asked == [(NIGHT, 5)]


def test_a_record_of_an_earlier_version_is_resumed_by_its_outcomes_and_the_usual_minutes(tables):
    entry = replace(ENTRY, details={}, eligible=None)
    activation = plan(tables, outcome("ann", "no answer"), outcome("cid", "no answer"), entry=entry)
    assert asked(activation) == ["ann", "cid"]
    assert (activation.run.eligible, activation.run.min_minutes) == (3, MIN_AVERAGE_MINUTES)
    assert tables.asked == [(NIGHT, MIN_AVERAGE_MINUTES)]


@pytest.mark.parametrize("name", ["no answer", "internal error", "write rejected"])
def test_who_was_not_staged_is_asked_again(tables, name):
    activation = plan(tables, outcome("ann", name))
    assert (asked(activation), activation.known) == (list(PLAYERS), {})


def test_who_was_not_generated_is_not_asked_again(tables):
    kept = outcome("bob", "not generated", reason="no features", attempts=2)
    activation = plan(tables, kept)
    assert (asked(activation), activation.known, activation.unrecorded) == (["ann", "cid"], {"bob": kept}, ())


def test_staged_rows_of_which_the_ledger_has_nothing_are_adopted_and_will_be_recorded(tables):
    tables.rows = {"p_bob": 25}
    activation = plan(tables, outcome("bob", "no answer"))
    assert asked(activation) == ["ann", "cid"]
    assert activation.known == {"bob": adopted("bob", 25)}
    assert activation.unrecorded == (adopted("bob", 25),)


def test_a_recorded_outcome_whose_table_stands_is_kept_as_it_was_recorded(tables):
    tables.rows = {"p_bob": 25}
    kept = outcome("bob", staged_rows=25, load_job_id="load-1")
    activation = plan(tables, kept)
    assert (asked(activation), activation.known, activation.unrecorded) == (["ann", "cid"], {"bob": kept}, ())


def test_a_staged_player_whose_table_is_gone_is_asked_again_unless_he_was_merged(tables):
    assert asked(plan(tables, outcome("bob"))) == list(PLAYERS)
    for consolidated in (None, {}, {"players": ["ann"]}):
        entry = replace(ENTRY, details={**ENTRY.details, "consolidated": consolidated})
        assert asked(plan(tables, outcome("bob"), entry=entry)) == list(PLAYERS)
    entry = replace(ENTRY, details={**ENTRY.details, "consolidated": {"players": ["bob"]}})
    activation = plan(tables, outcome("bob"), entry=entry)
    assert (asked(activation), activation.known, activation.unrecorded) == (
        ["ann", "cid"],
        {"bob": outcome("bob")},
        (),
    )


def test_who_was_merged_and_then_gave_no_answer_is_asked_again(tables):
    entry = replace(ENTRY, details={**ENTRY.details, "consolidated": {"players": ["bob"]}})
    assert asked(plan(tables, outcome("bob", "no answer"), entry=entry)) == list(PLAYERS)


def test_who_is_not_eligible_any_more_is_not_generated_unless_his_rows_are_there(tables):
    tables.eligible, tables.rows = ("dan",), {"p_ann": 25}
    kept = outcome("bob", "not generated")
    activation = plan(tables, kept)
    gone = outcome("cid", "not generated", reason="no longer eligible", attempts=0)
    assert asked(activation) == []
    assert activation.known == {"ann": adopted("ann", 25), "bob": kept, "cid": gone}
    assert sorted(o.player_lookup for o in activation.unrecorded) == ["ann", "cid"]


@pytest.mark.parametrize("nobody", [(), None], ids=["no eligible players", "no games"])
def test_a_date_on_which_nobody_is_eligible_any_more_asks_nobody(tables, nobody):
    tables.eligible = nobody
    activation = plan(tables)
    assert asked(activation) == []
    assert {name: o.outcome for name, o in activation.known.items()} == dict.fromkeys(PLAYERS, "not generated")
    assert (activation.run.batch_id, activation.run.games, activation.run.eligible) == (BATCH, 0, 7)
    assert plan(tables, entry=replace(ENTRY, eligible=None)).run.eligible == 0


def test_players_are_adopted_by_the_rows_of_the_tables_whatever_unit_they_were_in():
    tables = Tables({"p_ann_and_cid": 50, "p_bob": 0, "p_dan": 25, "p_eve": 25, "other": 25}, gone={"p_eve"})
    found = list(adopt_staged(cast(Any, tables), BATCH, ["bob", "cid", "ann", "eve", "other"]))
    table = f"nba_predictions.{PREFIX}p_ann_and_cid"
    assert found == [replace(adopted(name, 25), staging_table=table) for name in ("cid", "ann")]


@pytest.mark.parametrize("tables", [{"p_ann_and_bob": 40, "p_ann": 25}, {"p_ann_and_bob": 50, "p_ann": 20}])
def test_of_a_player_in_two_tables_the_rows_of_the_newer_one_count(tables):
    """It replaces the other one when they are consolidated."""
    [found] = adopt_staged(cast(Any, Tables(tables)), BATCH, ["ann"])
    assert found == adopted("ann", tables["p_ann"])


def test_a_refusal_names_the_batch_the_reason_and_what_to_do():
    error = WrongBatchState(ENTRY, "It has ended.", "Look again.")
    assert (error.entry, error.message, error.hint) == (ENTRY, "It has ended.", "Look again.")
    assert WrongBatchState(ENTRY, "It has ended.").hint == ""
