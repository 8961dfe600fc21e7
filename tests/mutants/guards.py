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
    tests: tuple[str, ...]


def _mutant(file: str, old: str, new: str, test: str) -> Mutant:
    return Mutant((Edit(f"services/{file}", old, new),), (test,))


MERGE, CONSOLIDATOR = "pipeline/merge.py", "pipeline/consolidator.py"
COUNTS, MANIFEST = "pipeline/merge_counts.py", "pipeline/manifest.py"
OF_MERGE, OF_CONSOLIDATOR = (
    "tests/unit/pipeline/test_merge.py::test_",
    "tests/unit/pipeline/test_consolidator.py::test_",
)
WAREHOUSE, LEASE = "pipeline/warehouse.py", "pipeline/lease.py"
WRITER, WORKER = "pipeline/worker/staging_writer.py", "pipeline/worker/app.py"
DISPATCHER, RESUME = "pipeline/coordinator/dispatcher.py", "pipeline/coordinator/resume.py"
RUNNER, TRACKER = "pipeline/coordinator/batch_runner.py", "pipeline/coordinator/batch_tracker.py"
ENCODING, ERROR_TABLE = "pipeline/row_encoding.py", "gcp/error_table.py"
REQUEST_BODY, PREDICTOR = "pipeline/worker/request_body.py", "pipeline/worker/predictor.py"
OF_WORKER, OF_DISPATCHER = (
    "tests/unit/pipeline/worker/test_app.py::test_",
    "tests/unit/pipeline/coordinator/test_dispatcher.py::test_",
)
OF_WRITER = "tests/unit/pipeline/worker/test_staging_writer.py::test_"
OF_BODY = "tests/unit/pipeline/worker/test_request_body.py"
RUNNER_TESTS = "tests/unit/pipeline/coordinator/test_batch_runner.py"
HTTP_API = "pipeline/coordinator/http_api.py"
OF_LOG_RUNS = "tests/unit/batches/test_log_runs.py::test_"
OF_OLDER_RUNS = "tests/unit/pipeline/test_older_runs.py::test_"


def _here(test: str) -> str:
    return f"{WRITE_PATH}::{test}"


def _runner(test: str) -> str:
    return f"{RUNNER_TESTS}::{test}"


GUARDS: Mapping[str, Mutant] = {
    "a staged unit is verified": _mutant(
        WAREHOUSE,
        "if loaded != len(rows):",
        "if False:",
        _here("test_a_load_of_fewer_rows_than_sent_is_loaded_again"),
    ),
    "the sums of a MERGE are verified": _mutant(
        COUNTS,
        "    if mismatches:",
        "    if False:",
        OF_CONSOLIDATOR + "a_row_that_another_process_writes_between_the_count_and_the_merge_fails_the_proof",
    ),
    "other rows of a unit go into a table of their own": _mutant(
        WRITER,
        "job_id.removeprefix(prefix))",
        "'0123456789abcdef')",
        OF_WRITER + "other_rows_go_into_another_table_and_the_first_one_stays_as_it_is",
    ),
    "a table that was written is not written again": _mutant(
        WAREHOUSE,
        "WriteDisposition.WRITE_EMPTY",
        "WriteDisposition.WRITE_TRUNCATE",
        "tests/unit/pipeline/test_warehouse.py::test_a_load_writes_a_table_once_and_takes_one_call",
    ),
    "a table that may change is dropped in its version": _mutant(
        CONSOLIDATOR,
        "None if unit_table(table.table) else table.version",
        "None",
        OF_CONSOLIDATOR + "a_table_that_changes_after_the_copy_is_left_for_the_next_round",
    ),
    "only answers for a table of one load are believed": _mutant(
        MANIFEST,
        "if unit_table(table) and verified_rows.get(table)",
        "if verified_rows.get(table)",
        OF_CONSOLIDATOR + "an_answer_for_a_table_that_may_change_is_not_believed",
    ),
    "columns of one batch are equal": _mutant(
        MANIFEST,
        "    if drifted:",
        "    if False:",
        _here("test_tables_with_other_columns_are_not_consolidated"),
    ),
    "a batch without rows is not consolidated": _mutant(
        MANIFEST,
        "if not rows and not other_rows:",
        "if False:",
        _here("test_a_batch_whose_tables_hold_no_rows_is_not_consolidated"),
    ),
    "tables that come late are consolidated too": _mutant(
        "pipeline/coordinator/batch_runner.py",
        "if not result.late_tables:",
        "if True:",
        _here("test_a_unit_that_comes_during_the_merge_is_consolidated_by_the_same_run"),
    ),
    "late tables are counted": _mutant(
        CONSOLIDATOR,
        "late_tables -= {table.table for table in manifest}",
        "late_tables.clear()",
        _here("test_a_unit_that_comes_during_the_merge_is_consolidated_by_the_same_run"),
    ),
    "the rows of the copies are counted": _mutant(
        CONSOLIDATOR,
        "if rows != count_table_rows(manifest) and",
        "if False and",
        _here("test_a_copy_that_lacks_a_row_is_not_merged"),
    ),
    "a table is dropped only in the version that was merged": _mutant(
        WAREHOUSE,
        "if current is not None and (current.streaming or current.version != version):",
        "if False:",
        _here("test_a_table_that_changed_after_it_was_counted_is_kept"),
    ),
    "a MERGE of an expired lease cannot start": _mutant(
        LEASE,
        "if not job_ids.claim_job_id(fence.merge_job_id,",
        "if False and (fence.merge_job_id,",
        _here("test_the_merge_of_a_holder_whose_lease_expired_never_runs"),
    ),
    "a MERGE that was fenced off is not taken for done": _mutant(
        WAREHOUSE,
        'if job.labels.get("fenced"):',
        "if False:",
        _here("test_the_merge_of_a_holder_whose_lease_expired_never_runs"),
    ),
    "a fence is not taken over while its holder is active": _mutant(
        LEASE,
        "if now - since < ttl:",
        "if False:",
        "tests/unit/pipeline/test_lease.py::test_a_lease_is_taken_over_ten_minutes_after_its_last_renewal",
    ),
    "one of two that take a lease at once has it": _mutant(
        LEASE,
        "if not _take(job_ids, _lease_job_id(game_date, lease.fence), holder):",
        "if False:",
        _here("test_of_two_that_take_the_lease_at_once_one_is_refused"),
    ),
    "a worker's 429 is retried": _mutant(
        DISPATCHER,
        "if response.status_code in RETRYABLE_STATUSES and retried:",
        "if False:",
        _here("test_a_busy_worker_is_asked_again"),
    ),
    "a failed job is not a success": _mutant(
        WAREHOUSE,
        "if job.error_result:\n",
        "if True:\n                return job\n            if job.error_result:\n",
        _here("test_a_failed_job_is_not_a_success"),
    ),
    "a line is compared as a decimal": _mutant(
        "batches/business_key.py",
        "rounded = Decimal(str(line)).quantize(_NUMERIC_SCALE, ROUND_HALF_UP, _NUMERIC_CONTEXT)",
        "return str(line)",
        "tests/unit/batches/test_business_key.py",
    ),
    "a failed write is not answered with 200": _mutant(
        WORKER,
        "return 500 if may_be_retried else 422 if rejected else 200, body",
        "return 200, body",
        _here("test_a_write_that_failed_is_not_answered_with_200"),
    ),
    "a request without a batch id is refused": _mutant(
        "pipeline/worker/request_body.py",
        "        if not value:\n",
        "        if False:\n",
        "tests/unit/pipeline/worker/test_request_body.py",
    ),
    "a dropped staging table is not taken for staged": _mutant(
        WAREHOUSE,
        "if adopted and loaded:",
        "if False:",
        OF_WRITER + "a_unit_whose_table_was_dropped_is_staged_again_in_another_one",
    ),
    "a unit of another date than its batch is refused": _mutant(
        REQUEST_BODY, "if read_batch_date(self.batch_id) not in (None, self.game_date):", "if False:", OF_BODY
    ),
    "a foreign batch id is refused": _mutant(
        REQUEST_BODY, "not isinstance(value, str) or not is_batch_id(value)", "not isinstance(value, str)", OF_BODY
    ),
    "an unprintable name is refused": _mutant(REQUEST_BODY, "if not is_player_lookup(text):", "if False:", OF_BODY),
    "an error of ours is not a rejected write": _mutant(
        WORKER,
        "        except _WRITE_ERRORS as error:\n            if isinstance",
        "        except Exception as error:\n            if isinstance",
        OF_WORKER + "an_error_of_ours_is_an_internal_error_with_its_traceback",
    ),
    "a fault of the predictor is not generated": _mutant(
        WORKER,
        "        except Exception as error:\n            is_expected",
        "        except PredictionNotPossible as error:\n            is_expected",
        OF_WORKER + "a_fault_of_the_predictor_is_not_generated_with_its_cause_and_costs_no_other_player",
    ),
    "rows of another player or date are not staged": _mutant(
        WORKER,
        "            if any((r[",
        "            if False and any((r[",
        OF_WORKER + "a_fault_of_the_predictor_is_not_generated_with_its_cause_and_costs_no_other_player",
    ),
    "a staged answer has equal counts": _mutant(
        DISPATCHER,
        " and 0 < answer.produced_rows == answer.staged_rows",
        "",
        OF_DISPATCHER + "an_odd_answer_fails_its_player_and_not_the_batch",
    ),
    "a staged answer names the table of its unit": _mutant(
        DISPATCHER,
        "unit_table(answer.table) in tables and 0 <",
        "0 <",
        OF_DISPATCHER + "an_odd_answer_fails_its_player_and_not_the_batch",
    ),
    "an exception of one unit ends no other": _mutant(
        DISPATCHER,
        "        except Exception as error:\n            logger.exception",
        "        except KeyboardInterrupt as error:\n            logger.exception",
        OF_DISPATCHER + "every_player_is_asked_once_and_an_exception_for_one_ends_no_other",
    ),
    "no request leaves after a stop": _mutant(
        DISPATCHER,
        "if self.should_stop():",
        "if False:",
        OF_DISPATCHER + "after_a_stop_nobody_is_asked_and_who_was_not_asked_has_no_outcome",
    ),
    "a wrong certificate is not retried": _mutant(
        ERROR_TABLE, '"certificate" not in str(error).lower()', "True", "tests/unit/gcp/test_error_table.py"
    ),
    "a field that the table lacks is refused": _mutant(
        ENCODING,
        "    if unknown:\n        raise SchemaMismatch",
        "    if False:\n        raise SchemaMismatch",
        "tests/unit/pipeline/test_row_encoding.py",
    ),
    "a row made after tip-off does not say before": _mutant(
        PREDICTOR,
        "return at < begins_at if begins_at.tzinfo else None",
        "return True",
        OF_WORKER + "a_row_says_whether_it_was_made_before_its_game",
    ),
    "a line is a decimal in the MERGE": _mutant(
        MERGE,
        "CAST(CAST({side}{c} AS NUMERIC) AS STRING)",
        "CAST({side}{c} AS STRING)",
        OF_MERGE + "a_line_that_the_table_has_as_a_float_is_compared_as_a_decimal",
    ),
    "the rows of another date are merged under its own lease": _mutant(
        CONSOLIDATOR,
        "with self._hold_lease(game_date) as other_lease:",
        "with __import__('contextlib').nullcontext(leases.Lease(game_date, 9, '')) as other_lease:",
        OF_CONSOLIDATOR + "while_another_consolidates_the_second_date_every_table_is_kept",
    ),
    "no line equals no line": _mutant(
        MERGE, "IFNULL({part}, '')", "{part}", _here("test_a_row_without_a_line_replaces_the_row_without_a_line")
    ),
    "the newest row of a key wins": _mutant(
        MERGE,
        "ORDER BY our_made_at DESC, our_row_id DESC",
        "ORDER BY our_made_at, our_row_id",
        OF_MERGE + "the_newest_of_a_key_in_the_batch_goes_in",
    ),
    "a line that the newer run lacks is retired": _mutant(
        MERGE,
        "FALSE) THEN 'retired'",
        "FALSE) THEN 'kept'",
        _here("test_lines_that_a_newer_run_lacks_are_retired_and_others_stay"),
    ),
    "an older row does not overwrite a newer one": _mutant(
        MERGE,
        "WHEN our_made_at < our_standing_made_at OR (",
        "WHEN FALSE OR (",
        OF_MERGE + "an_older_batch_consolidated_later_changes_nothing",
    ),
    "an older run retires no newer line": _mutant(
        MERGE,
        "NOT our_is_key_staged AND IFNULL(our_made_at < our_run_staged_at, FALSE)",
        "NOT our_is_key_staged",
        OF_MERGE + "a_line_of_an_older_run_that_the_newer_lacks_goes_in_as_superseded_and_retires_nothing",
    ),
    "rows that another table of the batch replaces are left out": _mutant(
        "pipeline/older_runs.py",
        "and run.made_at < newest[run.player_system][1]",
        "and False",
        OF_MERGE + "of_two_tables_with_a_player_s_rows_the_newer_one_replaces_the_other",
    ),
    "superseded rows are not touched": _mutant(
        MERGE,
        "  AND T.is_active\n",
        "",
        OF_MERGE + "a_superseded_copy_of_the_row_that_stands_stays_superseded_when_that_is_replaced",
    ),
    "a row that was superseded is not inserted again": _mutant(
        MERGE,
        "AND our_was_superseded THEN",
        "AND FALSE THEN",
        OF_MERGE + "the_very_row_that_was_superseded_does_not_come_back_when_its_batch_is_consolidated_again",
    ),
    "one of several active rows is left": _mutant(
        MERGE,
        "(our_is_replaced AND our_copies > 1) THEN 'duplicate'",
        "FALSE THEN 'kept'",
        OF_MERGE + "of_several_active_rows_the_newest_is_left",
    ),
    "one of several equal rows is left": _mutant(
        MERGE,
        "WHEN our_copies > 1 THEN IF(",
        "WHEN FALSE THEN IF(",
        OF_MERGE + "exact_copies_of_a_row_leave_one_active_row",
    ),
    "rows of a former game are superseded": _mutant(
        MERGE,
        "our_is_moved THEN 'moved'",
        "our_is_moved THEN 'kept'",
        OF_MERGE + "rows_under_a_game_that_the_player_is_no_longer_in_are_superseded",
    ),
    "rows of every date are merged": _mutant(
        CONSOLIDATOR,
        ": staged[day] for day in dates}",
        ": staged[day] for day in dates[:1]}",
        OF_CONSOLIDATOR + "rows_of_another_date_in_the_same_table_are_merged_under_that_date_s_lease",
    ),
    "every staged row has a date": _mutant(
        CONSOLIDATOR,
        "if (dated := sum(len(staged[day]) for day in dates)) != expected_rows:",
        "if False:",
        OF_CONSOLIDATOR + "a_row_without_a_date_keeps_its_table",
    ),
    "a table with a streaming buffer is not merged": _mutant(
        MANIFEST,
        "if streaming := [table.table for table in units if table.streaming]:",
        "if streaming := []:",
        OF_CONSOLIDATOR + "a_table_with_a_streaming_buffer_is_refused_by_name",
    ),
    "who was taken over drops nothing": _mutant(
        CONSOLIDATOR,
        "self._renew(lease)\n        self._retry_call(partial(self._warehouse.drop, source))",
        "self._retry_call(partial(self._warehouse.drop, source))",
        OF_CONSOLIDATOR + "a_process_that_was_taken_over_drops_nothing",
    ),
    "a resume adopts what is staged": _mutant(
        RESUME,
        "for o in adopt_staged(warehouse, entry.batch_id, players)}",
        "for o in ()}",
        _here("test_a_resume_adopts_what_is_staged_and_asks_again_for_the_rest"),
    ),
    "a resume asks again who gave no answer": _mutant(
        RESUME,
        "for name in players if name not in known)",
        "for name in ())",
        _here("test_a_resume_adopts_what_is_staged_and_asks_again_for_the_rest"),
    ),
    "a resume reads the players from the rows": _mutant(
        RESUME,
        "rows_by_player[key.player_lookup].append(row)",
        "rows_by_player[table.rpartition('_')[2]].append(row)",
        "tests/unit/pipeline/coordinator/test_resume.py::test_"
        "players_are_adopted_by_the_rows_of_the_tables_whatever_unit_they_were_in",
    ),
    "a refused load is repeated player by player": _mutant(
        WORKER,
        "if isinstance(error, JobFailed) and len(encoded) > 1 and not is_transient(error):",
        "if False:",
        OF_WORKER + "rows_that_bigquery_refuses_cost_only_their_own_player",
    ),
    "who is merged is read from the rows": _mutant(
        "batches/closing.py",
        "if player in players and not",
        "if not",
        "tests/unit/batches/test_closing.py",
    ),
    "a staged player whose table is gone is asked again": _mutant(
        RESUME,
        "(outcome.staged and (name in merged or name in adopted))",
        "outcome.staged",
        _runner("test_players_whose_tables_were_dropped_are_asked_again"),
    ),
    "a batch with players without an answer stays open": _mutant(
        "batches/closing.py",
        "    if unanswered:",
        "    if False:",
        _runner("test_workers_that_are_away_leave_the_batch_open"),
    ),
    "a date is started once": _mutant(
        RUNNER,
        "if self._ledger.append_start(entry, number):",
        "if True:",
        _runner("test_of_two_coordinators_one_starts_a_date"),
    ),
    "a date whose batch runs is not started": _mutant(
        RUNNER,
        "if entry.state in IN_PROGRESS_STATES:",
        "if False:",
        _runner("test_a_date_is_started_again_when_nothing_runs"),
    ),
    "only a batch that has stopped is resumed": _mutant(
        RUNNER,
        "if entry.state in IN_PROGRESS_STATES - RESUMABLE_STATES:",
        "if False:",
        _runner("test_only_a_batch_that_stopped_is_resumed"),
    ),
    "a consolidated batch is not resumed": _mutant(
        RUNNER,
        "if entry.state not in RESUMABLE_STATES:",
        "if False:",
        _runner("test_only_a_batch_that_stopped_is_resumed"),
    ),
    "a state is recorded by one process": _mutant(
        "batches/ledger.py",
        "            self._check_recorded(record, row",
        "            (record, row",
        _runner("test_of_eight_resumes_at_once_one_runs"),
    ),
    "the progress of a run is recorded": _mutant(
        TRACKER,
        "            self.advance(replace(self.entry,",
        "            (replace(self.entry,",
        _runner("test_a_long_run_is_never_seen_as_stalled"),
    ),
    "a run that another has taken over asks nobody": _mutant(
        RUNNER,
        "should_stop=lambda: tracker.superseded is not None or stop()",
        "should_stop=stop",
        _runner("test_a_run_that_was_taken_over_asks_nobody"),
    ),
    "a stopped run asks nobody": _mutant(
        RUNNER,
        "should_stop=lambda: tracker.superseded is not None or stop()",
        "should_stop=lambda: False",
        _runner("test_a_stopped_run_asks_nobody_and_is_resumed"),
    ),
    "a stop after the last player is refused": _mutant(
        RUNNER,
        "if not request_stop(self._warehouse, entry):",
        "if False:",
        _runner("test_a_stop_after_the_last_player_is_refused"),
    ),
    "a consolidation waits for the lease": _mutant(
        RUNNER,
        "if waited_s >= MAX_LEASE_WAIT_S:",
        "if True:",
        _runner("test_a_consolidation_waits_for_another_of_its_date"),
    ),
    "a date that has run needs force": _mutant(
        HTTP_API,
        "if not start_request.force and ",
        "if False and ",
        _here("test_a_date_that_has_run_is_run_again_only_by_force"),
    ),
    "a rejected row is part of its batch's sum": _mutant(
        "batches/conservation.py",
        "if rejected is None else (record.staged_rows, rejected)",
        "if True else (record.staged_rows, rejected)",
        "tests/unit/batches/test_conservation.py::test_rows_that_were_rejected_on_write_are_part_of_the_sum_where_they_were_counted",
    ),
    "the end of a consolidation is not an earlier batch's": _mutant(
        "batches/log_runs.py",
        "        elif len(runs) > begun:",
        "        elif False:",
        OF_LOG_RUNS + "an_end_after_a_later_run_has_begun_is_that_runs",
    ),
    "an id names only the run of its time": _mutant(
        "batches/log_runs.py",
        "begun is None or abs(self.started - begun) <= MAX_START_SKEW",
        "True",
        OF_LOG_RUNS + "a_run_without_a_name_is_named_only_by_an_id_of_its_date_and_time",
    ),
    "an older run of a player is found in whichever order its tables are read": _mutant(
        "pipeline/older_runs.py",
        "max((times[-1], times[0]), newest.get(player_system, (times[-1], times[0])))",
        "(times[-1], times[0])",
        OF_OLDER_RUNS
        + "the_table_with_the_newest_row_of_a_player_replaces_the_others_in_whichever_order_they_are_read",
    ),
    "rows that are not staged replace nothing": _mutant(
        "pipeline/older_runs.py",
        "for keyed in table if keyed in staged)",
        "for keyed in table)",
        OF_OLDER_RUNS + "rows_that_came_into_a_table_after_it_was_copied_replace_nothing",
    ),
    "jobs without their kind may be rejected writes": _mutant(
        "telemetry/job_history.py",
        "isinstance(job, UnknownJob) or ",
        "",
        "tests/unit/telemetry/test_job_history.py::test_jobs_that_are_listed_without_their_kind_may_be_rejected_writes",
    ),
    "a read of Cloud Run or Cloud Scheduler has a deadline": _mutant(
        "gcp/retry.py",
        "Retry(timeout=timeout_s)",
        "Retry(timeout=600.0)",
        "tests/unit/telemetry/test_read_limits.py",
    ),
    "an answer that cannot be parsed ends no check": _mutant(
        "alerts/facts.py",
        "        with translate_errors(source):\n            return Result(read())",
        "        return Result(read())",
        "tests/unit/alerts/test_facts.py::test_an_answer_that_cannot_be_parsed_is_the_sources_trouble",
    ),
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
