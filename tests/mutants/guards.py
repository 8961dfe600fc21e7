"""The guards of the write path, each with the edit that switches it off and the fast tests of which one must then turn red."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.mutants.runner import Edit

WRITE_PATH = "tests/unit/pipeline/test_guards.py"


@dataclass(frozen=True)
class Mutant:
    """Edits of production code that switch a guard off, and paths of the tests that hold it."""

    edits: tuple[Edit, ...]
    tests: tuple[str, ...] = (WRITE_PATH,)


def _mutant(file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant((Edit(f"services/{file}", old, new),), tests or (WRITE_PATH,))


MERGE, CONSOLIDATOR = "pipeline/merge.py", "pipeline/consolidator.py"
WAREHOUSE, LEASE = "pipeline/warehouse.py", "pipeline/lease.py"
WRITER, WORKER = "pipeline/worker/staging_writer.py", "pipeline/worker/app.py"
DISPATCHER, RESUME = "pipeline/coordinator/dispatcher.py", "pipeline/coordinator/resume.py"
RUNNER, RUNNER_TESTS = (
    "pipeline/coordinator/batch_runner.py",
    "tests/unit/pipeline/coordinator/test_batch_runner.py",
)
HTTP_API = "pipeline/coordinator/http_api.py"
MERGE_TESTS = "tests/unit/pipeline/test_merge.py"

GUARDS: Mapping[str, Mutant] = {
    "a staged unit is verified": _mutant(WRITER, "if verified != len(encoded):", "if False:"),
    "the sums of a MERGE are verified": _mutant("pipeline/merge_counts.py", "    if mismatches:", "    if False:"),
    "rows in a streaming buffer are not consolidated": _mutant(
        CONSOLIDATOR, "if table.streaming]", "if False]", MERGE_TESTS
    ),
    "rows of other dates are merged too": _mutant(
        CONSOLIDATOR, "            for day in dates\n", "            for day in dates[:1]\n", MERGE_TESTS
    ),
    "rows without a date are not dropped": _mutant(
        CONSOLIDATOR, "if count_rows(dated) != expected_rows:", "if False:", MERGE_TESTS
    ),
    "the rows of another date are merged under its own lease": _mutant(
        CONSOLIDATOR,
        "with self._hold_lease(game_date) as other_lease:",
        "with __import__('contextlib').nullcontext(leases.Lease(game_date, 9, '')) as other_lease:",
        MERGE_TESTS,
    ),
    "columns of one batch are equal": _mutant(CONSOLIDATOR, "        if drifted:", "        if False:"),
    "a batch without rows is not consolidated": _mutant(
        CONSOLIDATOR, "if not any(table.rows for table in units):", "if False:"
    ),
    "tables that come late are consolidated too": _mutant(
        "pipeline/coordinator/batch_runner.py", "if not result.late_tables:", "if True:"
    ),
    "late tables are counted": _mutant(CONSOLIDATOR, "return sum(is_unit_table(", "return 0 * sum(is_unit_table("),
    "the rows of the copies are counted": _mutant(CONSOLIDATOR, "if rows != expected:", "if False:"),
    "a table is dropped only in the version that was merged": _mutant(
        WAREHOUSE, "if current is not None and current.version != version:", "if False:"
    ),
    "a MERGE of an expired lease cannot start": _mutant(
        LEASE, "if not job_ids.claim_job_id(fence.merge_job_id,", "if False and (fence.merge_job_id,"
    ),
    "a MERGE that was fenced off is not taken for done": _mutant(
        WAREHOUSE, 'if job.labels.get("fenced"):', "if False:"
    ),
    "a fence is not taken over while its holder is active": _mutant(
        LEASE, "if now - since < ttl:", "if False:", WRITE_PATH, "tests/unit/pipeline/test_lease.py"
    ),
    "one of two that take a lease at once has it": _mutant(
        LEASE,
        "if not _take(job_ids, _lease_job_id(game_date, lease.fence), holder):",
        "if False:",
        WRITE_PATH,
        "tests/unit/pipeline/test_lease.py",
    ),
    "a worker's 429 is retried": _mutant(DISPATCHER, "if response.status_code in RETRYABLE_STATUSES:", "if False:"),
    "a failed job is not a success": _mutant(
        WAREHOUSE, "if job.error_result:\n", "if True:\n                return job\n            if job.error_result:\n"
    ),
    "a line is compared as a decimal": _mutant(
        "batches/business_key.py",
        'format(Decimal(str(line)).normalize(), "f")',
        "str(line)",
        "tests/unit/batches/test_business_key.py",
    ),
    "a failed write is not answered with 200": _mutant(
        WORKER, "return 500 if may_be_retried else 422, _rejection", "return 200, _rejection"
    ),
    "a request without a batch id is refused": _mutant(
        "pipeline/worker/request_body.py",
        "        if not value:\n",
        "        if False:\n",
        "tests/unit/pipeline/worker/test_request_body.py",
    ),
    "no line equals no line": _mutant(MERGE, """join(f"IFNULL({part}, '')" for part in parts)""", "join(parts)"),
    "a line is a decimal in the MERGE": _mutant(
        MERGE, "CAST(CAST({side}{c} AS NUMERIC) AS STRING)", "CAST({side}{c} AS STRING)", MERGE_TESTS
    ),
    "the newest staged row of a key wins": _mutant(
        MERGE, "row_key ORDER BY made_at DESC, row_id DESC) AS recency", "row_key ORDER BY made_at, row_id) AS recency"
    ),
    "an older batch does not win": _mutant(
        MERGE,
        "WHEN made_at < standing_made_at OR (made_at = standing_made_at AND row_id < standing_row_id)",
        "WHEN FALSE",
    ),
    "a line that the newer run lacks is retired": _mutant(
        MERGE,
        "WHEN NOT is_key_staged AND IFNULL(made_at < run_staged_at, FALSE) THEN 'retired'",
        "WHEN FALSE THEN 'retired'",
    ),
    "a superseded row is never touched": _mutant(MERGE, "  AND T.is_active\n", "", MERGE_TESTS),
    "one active row stands for a key": _mutant(
        MERGE,
        "WHEN recency > 1 OR (is_replaced AND copies > 1) THEN 'duplicate'",
        "WHEN FALSE THEN 'duplicate'",
        MERGE_TESTS,
    ),
    "rows of a game that the player left are superseded": _mutant(
        MERGE, "WHEN is_player_staged AND is_moved THEN 'moved'", "WHEN FALSE THEN 'moved'", MERGE_TESTS
    ),
    "a resume adopts what is staged": _mutant(
        RESUME, "for o in adopt_staged(warehouse, entry.batch_id, players)}", "for o in ()}"
    ),
    "a resume asks again who gave no answer": _mutant(
        RESUME, "for name in players if name not in known)", "for name in ())"
    ),
    "a staged player whose table is gone is asked again": _mutant(
        RESUME, "(outcome.staged and (name in merged or name in adopted))", "outcome.staged", RUNNER_TESTS
    ),
    "a batch with players without an answer stays open": _mutant(
        "batches/closing.py", "    if unanswered:", "    if False:", RUNNER_TESTS
    ),
    "a date is started once": _mutant(RUNNER, "if self._ledger.append_start(entry, number):", "if True:", RUNNER_TESTS),
    "a date whose batch runs is not started": _mutant(
        RUNNER, "if entry.state in IN_PROGRESS_STATES:", "if False:", RUNNER_TESTS
    ),
    "only a batch that has stopped is resumed": _mutant(
        RUNNER, "if entry.state in IN_PROGRESS_STATES - RESUMABLE_STATES:", "if False:", RUNNER_TESTS
    ),
    "a consolidated batch is not resumed": _mutant(
        RUNNER, "if entry.state not in RESUMABLE_STATES:", "if False:", RUNNER_TESTS
    ),
    "a state is recorded by one process": _mutant(
        "batches/ledger.py", "            self._check_recorded(record, row", "            (record, row", RUNNER_TESTS
    ),
    "the progress of a run is recorded": _mutant(
        "pipeline/coordinator/batch_tracker.py",
        "            self.advance(replace(self.entry,",
        "            (replace(self.entry,",
        RUNNER_TESTS,
    ),
    "a run that another has taken over asks nobody": _mutant(
        RUNNER, "should_stop=lambda: tracker.superseded is not None or stop()", "should_stop=stop", RUNNER_TESTS
    ),
    "a run that was told to stop asks nobody": _mutant(
        RUNNER,
        "should_stop=lambda: tracker.superseded is not None or stop()",
        "should_stop=lambda: False",
        RUNNER_TESTS,
    ),
    "a stop after the last player is refused": _mutant(
        RUNNER, "if not request_stop(self._warehouse, entry):", "if False:", RUNNER_TESTS
    ),
    "a consolidation waits for the lease": _mutant(
        RUNNER, "if waited_s >= MAX_LEASE_WAIT_S:", "if True:", RUNNER_TESTS
    ),
    "a date that has run needs force": _mutant(HTTP_API, "if not start_request.force and ", "if False and "),
}

SIX_AT_ONCE = (
    "a staged unit is verified",
    "the sums of a MERGE are verified",
    "the rows of the copies are counted",
    "a table is dropped only in the version that was merged",
    "a MERGE of an expired lease cannot start",
    "a line that the newer run lacks is retired",
)
"""Guards that catch each other's misses; switched off together, a test must still notice."""
