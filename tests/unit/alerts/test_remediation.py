"""Test remediation: moved here by the new layout."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.alerts.evaluation import evaluate_rules
from services.scaling.annotations import CapacitySetting
from tests.support.alert_factories import (
    NOW,
    SETTINGS,
    SNAPSHOTS,
    make_leftover_table,
    make_night_snapshot,
    make_players,
    make_rejection_burst,
    make_snapshot,
    make_unmerged_players,
    make_unrequested_players,
    make_worker_capacity,
    make_write_report,
    ok_result,
    stalled_batch,
)
from tests.support.factories import make_night


def test_remediation_scales_down_resumes_and_consolidates_and_never_deletes():
    from services.alerts.remediation import plan_remediations
    from services.policy.concurrency_config import SelfHealingConfig

    def steps(snapshot, now=NOW, healing=SelfHealingConfig()):  # noqa: B008
        return [
            step.action_type.name
            for step in plan_remediations(evaluate_rules(snapshot, SETTINGS, now), snapshot, healing, now)
        ]

    recent_burst = make_snapshot(
        make_night_snapshot(writes=ok_result(make_write_report(*make_rejection_burst(90, every_s=7))))
    )
    assert steps(recent_burst) == ["scaling.narrow"]
    [scale_down] = plan_remediations(
        evaluate_rules(recent_burst, SETTINGS, NOW), recent_burst, SelfHealingConfig(), NOW
    )
    assert NOW < datetime.fromisoformat(scale_down.params["revert_at"]) <= NOW + timedelta(hours=1), "noted for restore"
    assert steps(recent_burst, healing=SelfHealingConfig(auto_reduce_concurrency=False)) == []
    assert steps(recent_burst, now=NOW + timedelta(hours=7)) == [], "an old storm is over"
    at_emergency_limit = make_snapshot(
        make_night_snapshot(writes=ok_result(make_write_report(*make_rejection_burst(90, every_s=7)))),
        worker=ok_result(make_worker_capacity(CapacitySetting(4, 20, 3))),
    )
    assert steps(at_emergency_limit) == [], "never below 4 × 3"
    stalled_night = make_snapshot(
        make_night_snapshot(
            night=ok_result(make_night(*make_players(10), *make_unrequested_players(5))), batches=stalled_batch()
        )
    )
    assert steps(stalled_night) == ["run.resume"]
    assert steps(stalled_night, healing=SelfHealingConfig(resume_stalled=False)) == []
    leftover = make_snapshot(
        make_night_snapshot(night=ok_result(make_night(*make_players(150), *make_unmerged_players(3)))),
        staging=ok_result((make_leftover_table(1),)),
    )
    assert steps(leftover) == ["staging.consolidate"]
    assert steps(leftover, healing=SelfHealingConfig(consolidate_leftovers=False)) == []
    for snapshot, _ in SNAPSHOTS.values():
        assert not [name for name in steps(snapshot) if "drop" in name or "delete" in name]
