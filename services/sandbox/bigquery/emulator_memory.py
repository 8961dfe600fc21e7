"""What the emulator would keep for ever: a table and a snapshot table of every load, every job, every result."""

from __future__ import annotations

from typing import Any

from services.sandbox.bigquery.packed_tables import MAX_ROWS, PackedTables

MAX_RESULT_BYTES = 64 * 2**20
MIN_RESULTS = 50  # the newest, of any size: a client may be reading them


def pack_small_loads(server: Any, packed: PackedTables) -> None:  # noqa: ANN401 — bqemulator's server, known to its module alone
    """Have a started EmulatorServer pack small unpartitioned tables when they are first loaded, and the snapshot of that with them."""
    catalog, snapshots = server._catalog, server._context.snapshots
    capture = snapshots.capture

    def capture_packed(project: str, dataset: str, table: str, *, kind: str = "AUTO") -> Any:  # noqa: ANN401
        is_first = not catalog.list_snapshots_for_table(project, dataset, table)
        snapshot, meta = capture(project, dataset, table, kind=kind), catalog.get_table(project, dataset, table)
        name = f'"{project}__{dataset}"."{table}"'
        is_small = meta is not None and 0 < meta.num_rows <= MAX_ROWS and meta.time_partitioning is None
        if is_small and is_first and kind == "AUTO" and meta.table_type == "TABLE" and packed.find(name) is None:
            place = packed.pack(name, meta.schema_)
            packed.replace(f'"{snapshot.duckdb_schema}"."{snapshot.duckdb_table}"', place)
        return snapshot

    snapshots.capture = capture_packed


def share_schemas(server: Any) -> None:  # noqa: ANN401
    """Have tables of equal columns share one schema object: 1,580 staging tables have the same."""
    catalog, schemas = server._catalog, dict[Any, Any]()
    create_table = catalog.create_table

    def create_table_sharing(table: Any) -> Any:  # noqa: ANN401
        shared = schemas.setdefault(table.schema_, table.schema_)
        return create_table(table.model_copy(update={"schema_": shared}))

    catalog.create_table = create_table_sharing


def forget_jobs(server: Any) -> None:  # noqa: ANN401
    """Have the emulator keep no job: the gateway has the history, and nothing asks the emulator for it."""
    server._catalog.upsert_job = lambda job: job


class ResultStore:
    """Bounds the results that the emulator keeps of every job in one dictionary of its module, for all emulators of a process."""

    def __init__(self) -> None:
        from bqemulator.jobs import executor

        self._results, self._schemas = executor.JOB_RESULTS, executor.JOB_SCHEMAS
        self._sizes: dict[str, int] = {}

    def trim(self) -> None:
        """Forget the oldest results beyond 64 MB; their getQueryResults is then a 404, as BigQuery's is after a day."""
        for job_id in reversed(list(self._results)):
            if job_id in self._sizes:
                break
            self._sizes[job_id] = self._results[job_id].nbytes
        total = sum(self._sizes.values())
        for job_id in list(self._sizes)[: max(0, len(self._sizes) - MIN_RESULTS)]:
            if total <= MAX_RESULT_BYTES:
                break
            total -= self._forget(job_id)

    def _forget(self, job_id: str) -> int:
        self._results.pop(job_id, None)
        self._schemas.pop(job_id, None)
        return self._sizes.pop(job_id)

    def clear(self) -> None:
        """Forget every result that was kept."""
        for job_id in list(self._sizes):
            self._forget(job_id)
