"""Snapshots for the alert rules: a healthy night, and the customer's bad days as differences from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.alerts.facts import ChannelStatus, NightSnapshot, Snapshot, StagingTableListing
from services.alerts.source_times import SourceTime
from services.batches.ledger import BatchRecord
from services.batches.reader import Batch, Batches
from services.batches.state import BatchState
from services.core.result import DataSource, Health, Problem, Result
from services.core.settings import Settings
from services.names.resolution_counts import ResolutionCounts
from services.nights.coverage import CoverageHistory, NightCoverage
from services.plumbing.scheduled_jobs import JobReport
from services.plumbing.service_state import ServiceReport
from services.plumbing.subscriptions import SubscriptionReport
from services.scaling.annotations import CapacityAnnotations, CapacitySetting
from services.scaling.capacity import WorkerCapacity
from services.scaling.traffic import Traffic
from services.telemetry.dml_jobs import build_report
from services.telemetry.scheduler import Schedule, ScheduledJob
from tests.support.factories import (
    NIGHT,
    make_attempt,
    make_job_history,
    make_log_lines,
    make_night,
    make_player,
    make_write_error,
    player_without_rows,
)

SETTINGS = Settings.from_env({})
STARTED = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)
NOW = STARTED + timedelta(minutes=20)
BATCH = "batch_2025-12-29_1767037620"


def ok_result(value: Any) -> Result[Any]:
    return Result(value)


def failed_result(source: str = "Cloud Logging") -> Result[Any]:
    return Result(None, Problem(source, NOW, f"{source} did not answer."))


def make_players(count: int, **changes: Any) -> list[Any]:
    return [make_player(player_lookup=f"player{i}", **changes) for i in range(count)]


def make_rejected_players(count: int, **changes: Any) -> list[Any]:
    return [
        player_without_rows(player_lookup=f"lost{i}", write_error=make_write_error(), **changes) for i in range(count)
    ]


def make_batch(**changes: Any) -> Batch:
    fields: dict[str, Any] = {
        "batch_id": BATCH,
        "game_date": NIGHT,
        "state": BatchState.CONSOLIDATED,
        "started": STARTED,
        "ended": STARTED + timedelta(minutes=3),
        "started_by": "scheduler",
        "requested": 158,
        "generated": 158,
        "staged_rows": 3950,
        "written_rows": 3950,
        "status_text": "consolidated",
        "health": Health.OK,
        "record_source": "ledger",
    }
    return Batch(**{**fields, **changes})


def make_batch_record(**changes: Any) -> BatchRecord:
    fields: dict[str, Any] = {
        "batch_id": BATCH,
        "game_date": NIGHT,
        "state": BatchState.CONSOLIDATED,
        "sequence": 6,
        "holder": "c",
        "produced_rows": 3950,
        "staged_rows": 3950,
        "distinct_keys": 3950,
        "collapsed_rows": 0,
        "inserted": 3950,
        "updated": 0,
        "unchanged": 0,
    }
    return BatchRecord(**{**fields, **changes})


def make_write_report(*attempts: Any, settings: Settings = SETTINGS) -> Any:
    return build_report(STARTED, NOW, make_job_history(*attempts), make_log_lines(), settings)


def make_rejection_burst(count: int = 90, every_s: float = 1.0) -> list[Any]:
    return [
        make_attempt(
            job_id=f"j{i}",
            at=STARTED + timedelta(seconds=50 + i * every_s),
            ok=False,
            message="Too many DML statements outstanding",
        )
        for i in range(count)
    ]


def make_night_snapshot(**changes: Any) -> NightSnapshot:
    fields: dict[str, Any] = {
        "game_date": NIGHT,
        "night": ok_result(make_night(*make_players(158))),
        "batches": ok_result(Batches((make_batch(),), ())),
        "writes": ok_result(make_write_report(make_attempt())),
        "ledger": ok_result(make_batch_record()),
        "usual": ok_result(CoverageHistory((), ())),
        "lines": ok_result(1),
    }
    fields |= changes
    return NightSnapshot(**{"night_writes": fields["writes"], **fields})


def make_worker_capacity(
    actual: CapacitySetting | None = None, set_to: CapacitySetting | None = None
) -> WorkerCapacity:
    actual = actual or CapacitySetting(None, 20, 5)
    annotations = CapacityAnnotations(set_to=set_to, set_by="nora" if set_to else "")
    traffic = Traffic((("prediction-worker-00011-zw5", 100),), follows_latest=True)
    return WorkerCapacity("prediction-worker", actual, annotations, (20, 5), '"e"', traffic, False)


def make_schedule(missing: tuple[str, ...] = (), problem: str = "") -> Schedule:
    expected = ("same-day-predictions",)
    jobs = () if missing else (ScheduledJob(expected[0], "", "30 11 * * *", "ET", NOW, NOW, problem),)
    return Schedule(jobs, missing, expected, DataSource("Cloud Scheduler", NOW))


def make_snapshot(*nights: NightSnapshot, **changes: Any) -> Snapshot:
    fields: dict[str, Any] = {
        "staging": ok_result(()),
        "worker": ok_result(make_worker_capacity()),
        "schedule": ok_result(make_schedule()),
        "channel": ChannelStatus(True),
        "open_dates": ok_result(frozenset()),
        "duplicates": ok_result({}),
        "source_times": ok_result(()),
        "jobs": ok_result(JobReport((), (), DataSource("Cloud Scheduler", NOW))),
        "services": ok_result(ServiceReport((), (), DataSource("Cloud Run", NOW))),
        "subscriptions": ok_result(SubscriptionReport((), (), (), DataSource("Pub/Sub", NOW))),
    }
    return Snapshot(nights or (make_night_snapshot(),), **{**fields, **changes})


def make_source_times(
    deadline: datetime, odds_before_h: float = 1.5, context_before_h: float = 7.0, nights: int = 7
) -> tuple[SourceTime, ...]:
    """NIGHT with its odds and context so many hours before the deadline, and `nights` usual ones: 1.5 h and 7 h before it."""
    tonight = {"odds": timedelta(hours=odds_before_h), "context": timedelta(hours=context_before_h)}
    usual = {"odds": timedelta(hours=1.5), "context": timedelta(hours=7)}
    return tuple(
        SourceTime(NIGHT - day, source, deadline - day, deadline - day - age, deadline - day - age)
        for day in (timedelta(days=n) for n in range(nights + 1))
        for source, age in (usual if day else tonight).items()
    )


def empty_batches() -> Result[Any]:
    return ok_result(Batches((), ()))


def stalled_batch(**changes: Any) -> Result[Any]:
    return ok_result(Batches((make_batch(**{"state": BatchState.STALLED, "ended": None, **changes}),), ()))


def make_unmerged_players(count: int) -> list[Any]:
    return [
        player_without_rows(
            player_lookup=f"waits{i}", staged_rows=25, staging_table=f"nba_predictions._staging_{BATCH}_w"
        )
        for i in range(count)
    ]


def make_leftover_table(age_h: float, expires_in_h: float = 160) -> StagingTableListing:
    return StagingTableListing(
        f"_staging_{BATCH.replace('-', '_')}_p_x", NOW - timedelta(hours=age_h), NOW + timedelta(hours=expires_in_h)
    )


def make_unrequested_players(count: int) -> list[Any]:
    return [
        player_without_rows(player_lookup=f"never{i}", requested=False, generated_rows=0, staged_rows=0, batch_id="")
        for i in range(count)
    ]


def make_unmatched_names(count: int, **changes: Any) -> list[Any]:
    """Names with odds that are not in context."""
    unknown: dict[str, Any] = dict.fromkeys(("eligible", "requested", "generated_rows", "staged_rows"))
    return [
        player_without_rows(player_lookup=f"name{i}", in_context=False, **{**unknown, **changes}) for i in range(count)
    ]


def make_names_before(unresolved: int, of: int, days_before: int = 1) -> CoverageHistory:
    """A night before with so many names, of which these resolve to nobody."""
    counts = ResolutionCounts(of - unresolved, 0, unresolved)
    day = NightCoverage(
        NIGHT - timedelta(days=days_before), 0, of, 0, 0, 0, 0, (), Health.NONE_EXPECTED, resolution_counts=counts
    )
    return CoverageHistory((day,), ())


SUPERSEDED_PLAYERS = [make_player(player_lookup=f"p{i}") for i in range(11)] + [
    make_player(player_lookup=f"gone{i}", active_rows=0, superseded=True) for i in range(58)
]
NO_GAMES = date(2025, 12, 24)

# The customer's demo days: what differs, and the one incident (its leading rule and its cause) that must follow.
SNAPSHOTS: dict[str, tuple[Snapshot, tuple[str, str] | None]] = {
    "healthy": (make_snapshot(), None),
    "90 of 158 rejected": (
        make_snapshot(
            make_night_snapshot(
                night=ok_result(make_night(*make_players(68), *make_rejected_players(90))),
                batches=ok_result(
                    Batches((make_batch(state=BatchState.UNVERIFIED_SUCCESS, record_source="logs"),), ())
                ),
                writes=ok_result(make_write_report(*make_rejection_burst())),
                ledger=ok_result(None),
            )
        ),
        ("dml_rejections", "writes"),
    ),
    "700 rows collapse to 140": (
        make_snapshot(
            make_night_snapshot(
                night=ok_result(make_night(*make_players(28, written_rows=5, active_rows=5))),
                ledger=ok_result(
                    make_batch_record(
                        produced_rows=700, staged_rows=700, distinct_keys=140, collapsed_rows=560, inserted=140
                    )
                ),
            )
        ),
        ("conservation", "rows"),
    ),
    "stalled at 102 of 104 with tables waiting": (
        make_snapshot(
            make_night_snapshot(
                night=ok_result(make_night(*make_unmerged_players(102), *make_unrequested_players(2))),
                batches=stalled_batch(requested=104, generated=102),
            )
        ),
        ("stalled", "run"),
    ),
    "published nothing and blocks": (
        make_snapshot(
            make_night_snapshot(
                night=ok_result(make_night(*make_unrequested_players(117))),
                batches=ok_result(
                    Batches((make_batch(state=BatchState.REQUESTED, ended=None, requested=117, generated=0),), ())
                ),
            )
        ),
        ("at_zero", "run"),
    ),
    "schema drift mid-batch": (
        make_snapshot(make_night_snapshot(night=ok_result(make_night(*make_players(67), *make_rejected_players(19))))),
        ("write_success", "writes"),
    ),
    "racing MERGE, 112 keys twice": (
        make_snapshot(duplicates=ok_result({NIGHT: 112})),
        ("duplicates", "rows"),
    ),
    "names never in context": (
        make_snapshot(
            make_night_snapshot(
                night=ok_result(make_night(*make_players(158), *make_unmatched_names(94))),
                usual=ok_result(make_names_before(3, of=150)),
            )
        ),
        ("names", "names"),
    ),
    "a deploy resets the emergency width": (
        make_snapshot(
            worker=ok_result(make_worker_capacity(CapacitySetting(None, 20, 5), set_to=CapacitySetting(4, 20, 3)))
        ),
        ("width", "width"),
    ),
    "subscription gone: 158 published, none completed": (
        make_snapshot(
            make_night_snapshot(
                night=ok_result(
                    make_night(
                        *[
                            player_without_rows(player_lookup=f"l{i}", generated_rows=0, staged_rows=0)
                            for i in range(158)
                        ]
                    )
                ),
                batches=stalled_batch(generated=0),
            )
        ),
        ("stalled", "run"),
    ),
    "no games": (
        make_snapshot(
            make_night_snapshot(
                game_date=NO_GAMES,
                night=ok_result(make_night(game_date=NO_GAMES, games=0, was_run=False)),
                usual=ok_result(make_names_before(3, of=150)),
                batches=empty_batches(),
                writes=ok_result(make_write_report()),
                ledger=ok_result(None),
                lines=ok_result(0),
            )
        ),
        None,
    ),
    "superseded, then filtered: 69 to 11 active": (
        make_snapshot(make_night_snapshot(night=ok_result(make_night(*SUPERSEDED_PLAYERS)))),
        ("coverage", "rows"),
    ),
}


def with_first_night(snapshot: Snapshot, **changes: Any) -> Snapshot:
    """The same snapshot with some fields of its first night changed."""
    return replace(snapshot, nights=(replace(snapshot.nights[0], **changes), *snapshot.nights[1:]))
