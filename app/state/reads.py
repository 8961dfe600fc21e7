"""What the pages read: one line per question, with how long its answer stays fresh. Every answer carries its own age.

Answers are shared by all viewers. A stale one is shown while a fresh one is fetched behind it (app/patience.py); what has not changed
is not asked again (services/gcp/read_cache.py); a failure is not kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Generic, TypeVar

from app.state import background_cache as patience
from services.actions.log_reader import Log, read_log
from services.alerts.alert_log import Alerts, read_alerts
from services.alerts.heartbeat import read_last_look
from services.aliases.unresolved import Names, read_names
from services.batches.reader import Batches, read_batches
from services.core.clock import eastern_day, night_of, night_window
from services.core.result import Reading, Source
from services.doctor.examination import Examination, read_examination
from services.gcp.clients import Cloud
from services.nights.coverage import History, read_history
from services.nights.first_night import read_first_night
from services.nights.player_stages import Night, read_night
from services.reports.handoff_note import Shift
from services.runs.progress import Live, read_live
from services.runs.verification import Check, read_checks
from services.scaling.service_widths import Widths, read_widths
from services.scaling.worker_width import WorkerWidth, read_worker
from services.staging.inventory import Inventory, read_inventory
from services.telemetry.dml_jobs import DmlReport, read_writes
from services.telemetry.log_reader import Lines, read_lines
from services.telemetry.scheduler import Schedule, read_schedule

T = TypeVar("T")

HISTORY_DAYS = 21
CERTAIN_DAYS = 7  # nights this recent are opened without asking whether they are stored


class _Read(Generic[T]):
    """A service's read, shared by all viewers; `begin` asks and returns at once, calling it waits for the answer."""

    def __init__(self, source: str, read: Callable[..., T], fresh_for_s: float) -> None:
        self.source, self.read, self.fresh_for_s = source, read, fresh_for_s

    def begin(self, cloud: Cloud, *args: Any) -> Callable[[], Reading[T]]:
        key = (self.source, cloud.settings, *args)
        return patience.begin(key, self.source, cloud.now, partial(self.read, cloud, *args), self.fresh_for_s)

    def __call__(self, cloud: Cloud, *args: Any) -> Reading[T]:
        return self.begin(cloud, *args)()


night: _Read[Night] = _Read("The warehouse", read_night, fresh_for_s=30)
history: _Read[History] = _Read("The coverage history", read_history, fresh_for_s=120)
writes: _Read[DmlReport] = _Read("The job history", read_writes, fresh_for_s=30)
staging: _Read[Inventory] = _Read("The list of staging tables", read_inventory, fresh_for_s=30)
widths: _Read[Widths] = _Read("Cloud Run", read_widths, fresh_for_s=15)
first_night: _Read[date | None] = _Read("The calendar", read_first_night, fresh_for_s=3600)
batches: _Read[Batches] = _Read("The list of batches", read_batches, fresh_for_s=30)
worker: _Read[WorkerWidth] = _Read("Cloud Run, the worker", read_worker, fresh_for_s=5)
checks: _Read[tuple[Check, ...]] = _Read("The ledger", read_checks, fresh_for_s=30)
names: _Read[Names] = _Read("The names", read_names, fresh_for_s=60)
live: _Read[Live | None] = _Read("The coordinator", read_live, fresh_for_s=1)
doctor: _Read[Examination] = _Read("The connections", read_examination, fresh_for_s=60)
alerts: _Read[Alerts] = _Read("The alerts", read_alerts, fresh_for_s=5)
lines: _Read[Lines] = _Read("The log", read_lines, fresh_for_s=60)
last_look: _Read[datetime | None] = _Read("The watchdog's log", read_last_look, fresh_for_s=30)
schedule: _Read[Schedule] = _Read("Cloud Scheduler", read_schedule, fresh_for_s=120)
actions: _Read[Log] = _Read("The action log", read_log, fresh_for_s=1)


@dataclass(frozen=True)
class Tonight:
    """Everything the overview judges, each part known or not on its own."""

    night: Reading[Night]
    writes: Reading[DmlReport]
    staging: Reading[Inventory]
    widths: Reading[Widths]
    batches: Reading[Batches]

    @property
    def sources_of_signals(self) -> tuple[Source, ...]:
        """What the signals beside the night's own figures were read from."""
        facts = (self.writes.value, self.staging.value, self.widths.value, self.batches.value)
        return tuple(source for fact in facts if fact is not None for source in fact.sources)


def tonight(cloud: Cloud, game_date: date) -> Tonight:
    """Ask all sources of the overview at once, so it waits for the slowest and not for the sum."""
    players = night.begin(cloud, game_date)
    jobs = writes.begin(cloud, *night_window(game_date))
    tables, services, runs = staging.begin(cloud), widths.begin(cloud), batches.begin(cloud, game_date)
    return Tonight(players(), jobs(), tables(), services(), runs())


def recent(cloud: Cloud, today: date) -> Reading[History]:
    """Coverage of the last nights up to today."""
    return history(cloud, *_nights_up_to(today))


def _nights_up_to(last: date) -> tuple[date, date]:
    return last - timedelta(days=HISTORY_DAYS - 1), last


def shift(cloud: Cloud, game_date: date, log: Callable[[], Reading[Log]]) -> Shift:
    """Everything a handoff note is written from, asked at once; the night's history is the last nights' own where it is among them."""
    today = eastern_day(cloud.now())
    last = today if (today - game_date).days <= HISTORY_DAYS - 7 else game_date
    players, runs, services = night.begin(cloud, game_date), batches.begin(cloud, game_date), widths.begin(cloud)
    days = history.begin(cloud, *_nights_up_to(last))
    told, jobs = alerts.begin(cloud), schedule.begin(cloud)
    return Shift(
        game_date=game_date,
        start=night_window(game_date)[0],
        now=cloud.now(),
        night=players(),
        batches=runs(),
        widths=services(),
        history=days(),
        alerts=told(),
        log=log(),
        schedule=jobs(),
    )


def first_stored(cloud: Cloud, wanted: date) -> date | None:
    """The first stored night; None when `wanted` is recent enough not to ask, or when nobody can say."""
    if wanted > night_of(cloud.now()) - timedelta(days=CERTAIN_DAYS):
        return None
    return first_night(cloud).value


def forget(*clouds: Cloud) -> None:
    """Read everything anew at the next look: somebody has acted."""
    patience.forget()
    for cloud in clouds:
        if cloud.kept is not None:
            cloud.kept.look_again()
