"""What became of each player of the customer's runs, and the ids and names that their services gave."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from services.sandbox.scenarios.customer.nights import CustomerNight, build_nights

NIGHTS = {str(night.slate.game_date): night for night in build_nights()}


@pytest.mark.parametrize(
    ("game_date", "stored_by_run"),
    [
        ("2025-12-23", [(87, 87)]),
        ("2025-12-24", []),
        ("2025-12-25", [(72, 72)]),
        ("2025-12-26", [(128, 128)]),
        ("2025-12-27", [(111, 114)]),
        ("2025-12-28", [(94, 102), (1, 1), (40, 40)]),
        ("2025-12-29", [(68, 158)]),
        ("2025-12-30", [(28, 28), (28, 28)]),
        ("2025-12-31", [(36, 40), (1, 1)]),
    ],
)
def test_each_run_stored_as_many_players_as_history_says(game_date, stored_by_run):
    runs = NIGHTS[game_date].runs
    assert [(sum(p.stored for p in run.players), len(run.players)) for run in runs] == stored_by_run


def test_the_runs_start_when_theirs_did():
    assert NIGHTS["2025-12-30"].runs[0].started_at == datetime(2025, 12, 30, 5, 36, 30, tzinfo=UTC)
    evening = NIGHTS["2025-12-31"].runs[0].started_at
    assert (evening.day, evening.hour) == (30, 22)  # 17:00 ET on the day before


def test_the_batch_ids_have_the_forms_of_their_services():
    ids = [run.batch_id for night in build_nights() for run in night.runs]
    assert "batch_2025-12-30_1767072990" in ids
    assert "regen_2025-12-28_stale_lines_1767143400" in ids
    assert "20251230_231502_481920" in ids
    assert Counter(batch_id.split("_")[0] for batch_id in ids) == {
        "batch": 9,
        "regen": 1,
        "fallback": 1,
        "20251230": 1,
    }


def test_a_staging_table_is_named_after_batch_revision_and_eight_digits():
    run = NIGHTS["2025-12-30"].runs[0]
    name = run.staging_table(run.players[0])
    assert name.startswith("_staging_batch_2025_12_30_1767072990_prediction_worker_00011_zw5_")
    assert len({run.staging_table(player) for player in run.players}) == 28


def test_a_recovered_player_is_one_that_the_run_before_lost():
    for game_date in ("2025-12-28", "2025-12-31"):
        night: CustomerNight = NIGHTS[game_date]
        lost = {player.lookup for player in night.runs[0].players if not player.stored}
        assert {player.lookup for player in night.runs[1].players} <= lost
