"""Worker runs that were streamed a moment ago count, though no listing and no metadata of their table have them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from services.batches.reader import read_batches
from services.core.freshness import VERSION_TTL_S
from services.gcp.clients import Clients
from services.gcp.read_cache import ReadCache
from services.sandbox.bigquery.streaming_buffer import StreamingDelays
from tests.support.fake_monotonic import FakeMonotonic

NIGHT = date(2025, 12, 29)
TABLE = "nba_predictions.prediction_worker_runs"


def stream_run(clients: Clients, batch_id: str) -> None:
    at = clients.now().isoformat()
    run = {
        "request_id": batch_id,
        "run_date": at,
        "player_lookup": "lebronjames",
        "game_date": str(NIGHT),
        "success": True,
        "batch_id": batch_id,
        "created_at": at,
    }
    assert clients.bigquery.insert_rows_json(TABLE, [run]) == []


def test_a_batch_whose_run_rows_are_in_the_streaming_buffer_is_seen(fresh_sandbox, fresh_clients):
    fresh_sandbox.state.bigquery.tables.buffer.delays = StreamingDelays(visible_s=0, reported_s=0)
    clock = FakeMonotonic()
    viewer = replace(fresh_clients, cache=ReadCache(clock))

    def batch_ids(clients: Clients) -> set[str]:
        clock.seconds += VERSION_TTL_S + 1
        return {batch.batch_id for batch in read_batches(clients, NIGHT).batches}

    before = batch_ids(viewer)
    rows_before = fresh_clients.bigquery.get_table(TABLE).num_rows
    stream_run(fresh_clients, "batch_2025-12-29_1767080001")
    assert batch_ids(viewer) == batch_ids(fresh_clients) == before | {"batch_2025-12-29_1767080001"}
    stream_run(fresh_clients, "batch_2025-12-29_1767080002")
    clock.seconds += 20
    assert batch_ids(viewer) - before == {"batch_2025-12-29_1767080001", "batch_2025-12-29_1767080002"}
    assert fresh_clients.bigquery.get_table(TABLE).num_rows == rows_before, "the rows are still in the buffer"
