"""A remedy is one that can be carried out: neither a limit that is set already nor a batch that cannot be resumed."""

from __future__ import annotations

import pytest

from services.alerts.evaluation import evaluate_rules
from services.batches.reader import Batches
from services.batches.state import BatchState
from services.scaling.annotations import CapacitySetting
from tests.support.alert_factories import (
    BATCH,
    NOW,
    SETTINGS,
    make_batch,
    make_night_snapshot,
    make_rejection_burst,
    make_snapshot,
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
