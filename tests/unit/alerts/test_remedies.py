"""A remedy is one that can be carried out: neither a limit that is set already nor a batch that cannot be resumed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.alerts.evaluation import evaluate_rules
from services.alerts.facts import StagingTableListing
from services.alerts.rules import RULES_BY_NAME
from services.batches.ids import parse_staging_table_name
from services.batches.reader import Batches
from services.batches.state import BatchState
from services.scaling.annotations import CapacitySetting
from tests.support.alert_factories import (
    BATCH,
    NOW,
    SETTINGS,
    make_batch,
    make_batch_record,
    make_night_snapshot,
    make_rejection_burst,
    make_snapshot,
    make_unmerged_players,
    make_unrequested_players,
    make_worker_capacity,
    make_write_report,
    ok_result,
)
from tests.support.factories import make_night


def remedy(rule, platform=None, **night):
    """(hint, command) of a rule that fires on a healthy night with these changes."""
    snapshot = make_snapshot(make_night_snapshot(**night), **(platform or {}))
    (result,) = [result for result in evaluate_rules(snapshot, SETTINGS, NOW) if result.rule.name == rule]
    assert result.firing
    return result.rule.hint, result.format_command(SETTINGS)


@pytest.mark.parametrize(
    ("actual", "scales_down"),
    [
        (CapacitySetting(None, 20, 5), True),
        (CapacitySetting(None, None, 1), True),
        (CapacitySetting(4, 20, 3), False),
        (CapacitySetting(2, 20, 3), False),
    ],
)
def test_workers_at_the_emergency_limit_are_not_to_be_scaled_down(actual, scales_down):
    worker = {"worker": ok_result(make_worker_capacity(actual))}
    hint, command = remedy("dml_rejections", worker, writes=ok_result(make_write_report(*make_rejection_burst())))
    assert ("gcloud run services update" in command) is scales_down
    assert ("already" in hint) is not scales_down
    assert scales_down or "$COORDINATOR_URL/start" in command


@pytest.mark.parametrize(("record_source", "resumes"), [("ledger", True), ("logs", False)])
def test_only_a_batch_of_the_ledger_is_to_be_resumed(record_source, resumes):
    night = ok_result(make_night(*make_unrequested_players(158)))
    stalled = ok_result(Batches((make_batch(state=BatchState.STALLED, record_source=record_source),), ()))
    hint, command = remedy("stalled", night=night, batches=stalled)
    assert (f'{{"batch_id": "{BATCH}"}}' in command) is resumes
    assert hint.startswith("Resume the batch") is resumes


def test_a_rule_that_does_not_fire_keeps_its_own_remedy():
    worker = ok_result(make_worker_capacity(CapacitySetting(4, 20, 3)))
    results = evaluate_rules(make_snapshot(worker=worker), SETTINGS, NOW)
    (result,) = [result for result in results if result.rule.name == "dml_rejections"]
    assert result.rule is RULES_BY_NAME["dml_rejections"]


def test_the_remedy_of_orphaned_tables_names_their_batches():
    tables = tuple(
        StagingTableListing(f"_staging_batch_2025_12_{day}_1767037620_p_{n}", NOW - timedelta(days=3), None)
        for day in range(20, 25)
        for n in range(2)
    )
    (result,) = [
        result
        for result in evaluate_rules(make_snapshot(staging=ok_result(tables)), SETTINGS, NOW)
        if result.rule.name == "staging_orphans"
    ]
    batches = [parse_staging_table_name(table.name)[0] for table in tables[::2]]
    assert result.rule.hint.endswith(f"tables: {batches[0]}, {batches[1]}, {batches[2]} and 2 more.")


def test_workers_that_drifted_below_the_emergency_limit_are_to_be_restored():
    meant, low, high = CapacitySetting(None, 20, 5), CapacitySetting(4, 20, 3), CapacitySetting(None, 40, 5)
    hint, command = remedy("width", {"worker": ok_result(make_worker_capacity(low, set_to=meant))})
    assert (hint, command) == ("Restore the worker capacity, or set the intended one.", "")
    hint, _ = remedy("width", {"worker": ok_result(make_worker_capacity(high, set_to=meant))})
    assert hint == RULES_BY_NAME["width"].hint


def test_staged_rows_of_another_coordinators_batch_are_consolidated_without_resuming_it():
    night = ok_result(make_night(*make_unmerged_players(158)))
    batch = make_batch(state=BatchState.STALLED, record_source="logs")
    assert remedy("consolidation", night=night, batches=ok_result(Batches((batch,), ()))) == (
        "Consolidate the batch.",
        "",
    )


def test_a_batch_that_has_ended_is_not_to_be_resumed_for_players_without_an_answer():
    record = make_batch_record(requested=158, details={"outcomes": {"staged": 136, "no answer": 22}})
    night = ok_result(make_night(*make_unrequested_players(158)))
    hint, command = remedy("unanswered", night=night, ledger=ok_result(record))
    assert hint.endswith("this batch cannot be resumed.")
    assert "$COORDINATOR_URL/start" in command
