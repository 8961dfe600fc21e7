"""Facts of a healthy night, and what each of the customer's bad days changes in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.alerts.facts import ChannelFacts, Facts, Left, NightFacts, Slate
from services.batches.ledger import Entry
from services.batches.reader import Batch, Batches
from services.batches.state import BatchState
from services.core.result import Health, Problem, Reading, Source
from services.core.settings import Settings
from services.scaling.annotations import Noted, Setting
from services.scaling.worker_width import WorkerWidth
from services.telemetry.dml_jobs import report
from services.telemetry.scheduler import Schedule, ScheduledJob
from tests.factories import NIGHT, attempt, lost, night, player, write_error

SETTINGS = Settings.from_env({})
STARTED = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)
TIP_OFF = datetime(2025, 12, 30, 0, 0, tzinfo=UTC)
NOW = STARTED + timedelta(minutes=20)
BATCH = "batch_2025-12-29_1767037620"


def known(value: Any) -> Reading[Any]:
    return Reading(value)


def unread(source: str = "Cloud Logging") -> Reading[Any]:
    return Reading(None, Problem(source, NOW, f"{source} did not answer."))


def players(count: int, **changes: Any) -> list[Any]:
    return [player(player_lookup=f"player{i}", **changes) for i in range(count)]


def rejected(count: int, **changes: Any) -> list[Any]:
    return [lost(player_lookup=f"lost{i}", write_error=write_error(), **changes) for i in range(count)]


def batch(**changes: Any) -> Batch:
    told: dict[str, Any] = {
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
        "recorded_in": "ledger",
    }
    return Batch(**{**told, **changes})


def entry(**changes: Any) -> Entry:
    told: dict[str, Any] = {
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
    return Entry(**{**told, **changes})


def writes(*attempts: Any, settings: Settings = SETTINGS) -> Any:
    return report(STARTED, NOW, tuple(attempts), (), settings)


def storm(count: int = 90, every_s: float = 1.0) -> list[Any]:
    return [
        attempt(
            job_id=f"j{i}",
            at=STARTED + timedelta(seconds=50 + i * every_s),
            ok=False,
            message="Too many DML statements outstanding",
        )
        for i in range(count)
    ]


def night_facts(**changes: Any) -> NightFacts:
    told: dict[str, Any] = {
        "game_date": NIGHT,
        "night": known(night(*players(158))),
        "slate": known(Slate(TIP_OFF, 176, 4, 150, 3)),
        "batches": known(Batches((batch(),), ())),
        "writes": known(writes(attempt())),
        "ledger": known(entry()),
        "duplicates": known(0),
        "lines": known(1),
    }
    return NightFacts(**{**told, **changes})


def worker(actual: Setting | None = None, set_to: Setting | None = None) -> WorkerWidth:
    actual = actual or Setting(None, 20, 5)
    noted = Noted(None, set_to, "nora" if set_to else "", None)
    return WorkerWidth("prediction-worker", actual, noted, (20, 5), '"e"', "prediction-worker-00011-zw5", False)


def schedule(missing: tuple[str, ...] = (), trouble: str = "") -> Schedule:
    expected = ("same-day-predictions",)
    jobs = () if missing else (ScheduledJob(expected[0], "", "30 11 * * *", "ET", NOW, NOW, trouble),)
    return Schedule(jobs, missing, expected, Source("Cloud Scheduler", NOW))


def facts(*nights: NightFacts, **changes: Any) -> Facts:
    told: dict[str, Any] = {
        "staging": known(()),
        "worker": known(worker()),
        "schedule": known(schedule()),
        "channel": ChannelFacts(True),
    }
    return Facts(nights or (night_facts(),), **{**told, **changes})


def no_batches() -> Reading[Any]:
    return known(Batches((), ()))


def stalled(**changes: Any) -> Reading[Any]:
    return known(Batches((batch(**{"state": BatchState.STALLED, "ended": None, **changes}),), ()))


def waiting(count: int) -> list[Any]:
    return [
        lost(player_lookup=f"waits{i}", staged_rows=25, staging_table=f"nba_predictions._staging_{BATCH}_w")
        for i in range(count)
    ]


def left(age_h: float, expires_in_h: float = 160) -> Left:
    return Left(
        f"_staging_{BATCH.replace('-', '_')}_p_x", NOW - timedelta(hours=age_h), NOW + timedelta(hours=expires_in_h)
    )


def never_asked(count: int) -> list[Any]:
    return [
        lost(player_lookup=f"never{i}", requested=False, generated_rows=0, staged_rows=0, batch_id="")
        for i in range(count)
    ]


TWO_SYSTEMS_GONE = [player(player_lookup=f"p{i}") for i in range(11)] + [
    player(player_lookup=f"gone{i}", active_rows=0, superseded=True) for i in range(58)
]
NO_GAMES = date(2025, 12, 24)

# The customer's demo days: what differs, and the one incident (its leading rule and its cause) that must follow.
DAYS: dict[str, tuple[Facts, tuple[str, str] | None]] = {
    "healthy": (facts(), None),
    "90 of 158 rejected": (
        facts(
            night_facts(
                night=known(night(*players(68), *rejected(90))),
                batches=known(Batches((batch(state=BatchState.REPORTED_SUCCESS, recorded_in="logs"),), ())),
                writes=known(writes(*storm())),
                ledger=known(None),
            )
        ),
        ("dml_rejections", "writes"),
    ),
    "700 rows collapse to 140": (
        facts(
            night_facts(
                night=known(night(*players(28, written_rows=5, active_rows=5))),
                ledger=known(
                    entry(produced_rows=700, staged_rows=700, distinct_keys=140, collapsed_rows=560, inserted=140)
                ),
            )
        ),
        ("conservation", "rows"),
    ),
    "stalled at 102 of 104 with tables waiting": (
        facts(
            night_facts(
                night=known(night(*waiting(102), *never_asked(2))), batches=stalled(requested=104, generated=102)
            )
        ),
        ("stalled", "run"),
    ),
    "published nothing and blocks": (
        facts(
            night_facts(
                night=known(night(*never_asked(117))),
                batches=known(
                    Batches((batch(state=BatchState.REQUESTED, ended=None, requested=117, generated=0),), ())
                ),
            )
        ),
        ("at_zero", "run"),
    ),
    "schema drift mid-batch": (
        facts(night_facts(night=known(night(*players(67), *rejected(19))))),
        ("write_success", "writes"),
    ),
    "racing MERGE, 112 keys twice": (facts(night_facts(duplicates=known(112))), ("duplicates", "rows")),
    "names never in context": (facts(night_facts(slate=known(Slate(TIP_OFF, 176, 94, 150, 3)))), ("names", "names")),
    "a deploy resets the emergency width": (
        facts(worker=known(worker(Setting(None, 20, 5), set_to=Setting(4, 20, 3)))),
        ("width", "width"),
    ),
    "subscription gone: 158 published, none completed": (
        facts(
            night_facts(
                night=known(night(*[lost(player_lookup=f"l{i}", generated_rows=0, staged_rows=0) for i in range(158)])),
                batches=stalled(generated=0),
            )
        ),
        ("stalled", "run"),
    ),
    "no games": (
        facts(
            night_facts(
                game_date=NO_GAMES,
                night=known(night(game_date=NO_GAMES, games=0, ran=False)),
                slate=known(Slate(None, 0, 0, 150, 3)),
                batches=no_batches(),
                writes=known(writes()),
                ledger=known(None),
                lines=known(0),
            )
        ),
        None,
    ),
    "superseded, then filtered: 69 to 11 active": (
        facts(night_facts(night=known(night(*TWO_SYSTEMS_GONE)))),
        ("coverage", "rows"),
    ),
}


def with_night(given: Facts, **changes: Any) -> Facts:
    """The same facts with something else of the first night."""
    return replace(given, nights=(replace(given.nights[0], **changes), *given.nights[1:]))
