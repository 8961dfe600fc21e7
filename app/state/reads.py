"""What the pages read: one `CachedRead` per source, with its freshness. Every result carries its age.

Answers are shared by all viewers. A stale one is shown while a fresh one is fetched in the background
(app/state/background_cache.py); what has not changed is not read again (services/gcp/read_cache.py); a failure is not cached.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import Any, Generic, TypeVar

from app.state import background_cache
from services.action_registry import changed_sources
from services.actions.log_reader import Action, ActionLog, read_action_log
from services.alerts.alert_log import Alerts, read_alerts
from services.alerts.heartbeat import Heartbeat, read_last_heartbeat
from services.aliases.unresolved import NameResolutionReport, read_names
from services.batches.ledger import BatchRecord
from services.batches.newest_record import read_newest_record
from services.batches.reader import Batches, read_batches, run_window
from services.core import freshness
from services.core.clock import eastern_day, to_game_date
from services.core.result import DataSource, Result
from services.core.sources import (
    ACTIONS,
    ALERTS,
    ALIASES,
    BATCH_PLAYERS,
    BATCHES,
    CLOUD_RUN,
    CONTEXT,
    COORDINATOR,
    JOBS,
    LOG,
    ODDS,
    PREDICTIONS,
    REGISTRY,
    SCHEDULER,
    STAGING_TABLES,
    WORKER_RUNS,
    Sources,
)
from services.doctor.examination import ConnectionReport, run_checks
from services.explore.counts import Cost, Counts, read_cost, read_counts
from services.gcp.clients import Clients
from services.judgement.facts import NightFacts, nights_before
from services.judgement.judge import NightJudgement, judge_night
from services.nights.coverage import CoverageHistory, read_history
from services.nights.first_night import read_first_night
from services.nights.night_writes import read_night_lines, read_night_writes
from services.nights.player_history import PlayerHistory, read_player_history
from services.nights.player_stages import NightStatus, read_night
from services.notes.note import notes_window
from services.phases.reader import NightPhases, read_phases
from services.plumbing.refused_calls import RefusalReport, read_refusals
from services.plumbing.scheduled_jobs import JobReport, read_job_report
from services.plumbing.service_state import ServiceReport, read_service_report
from services.plumbing.subscriptions import SubscriptionReport, read_subscription_report
from services.reports.handoff_note import HandoffInputs
from services.runs.batch_details import BatchDetails, read_batch_details
from services.runs.progress import RunProgress, read_run_progress
from services.runs.verification import VerificationCheck, read_run_verification
from services.scaling.capacity import ServiceCapacities, WorkerCapacity, read_service_capacities, read_worker_capacity
from services.scaling.deploys import DeployHistory, read_deploy_history
from services.staging.inventory import StagingInventory, read_inventory
from services.telemetry.dml_jobs import DmlReport
from services.telemetry.log_reader import LogLines
from services.telemetry.log_search import LogAnswer, answer_search, answer_tail
from services.telemetry.scheduler import Schedule, read_schedule

T = TypeVar("T")

HISTORY_DAYS = 21
SKIP_CALENDAR_DAYS = 7  # nights this recent are opened without checking that they are stored


class CachedRead(Generic[T]):
    """A service's read, shared by all viewers; `fetch_async` returns at once, a call waits for the result.

    `source` is its name on the page; an action that changes one of `sources` makes it read again.
    """

    def __init__(self, source: str, read: Callable[..., T], ttl_s: float, *sources: str) -> None:
        self.source, self.read, self.ttl_s, self.sources = source, read, ttl_s, frozenset(sources)

    def fetch_async(self, clients: Clients, *args: Any) -> Callable[[], Result[T]]:
        key = (self, clients.settings, *args)
        return background_cache.fetch_async(
            key, self.source, clients.now, partial(self.read, clients, *args), self.ttl_s
        )

    def peek(self, clients: Clients, *args: Any) -> T | None:
        """What was read lately for any page, without reading it; None where nothing was, or its source failed since."""
        value: T | None = background_cache.peek((self, clients.settings, *args))
        return value

    def __call__(self, clients: Clients, *args: Any) -> Result[T]:
        return self.fetch_async(clients, *args)()


_HISTORY = (CONTEXT, ODDS, ALIASES, PREDICTIONS)
_BATCHES = (BATCHES, WORKER_RUNS, STAGING_TABLES, LOG)

night: CachedRead[NightStatus] = CachedRead(
    "The warehouse", read_night, freshness.NIGHT_TTL_S, *_HISTORY, WORKER_RUNS, BATCH_PLAYERS, STAGING_TABLES, LOG
)
history: CachedRead[CoverageHistory] = CachedRead(
    "The coverage history", read_history, freshness.HISTORY_TTL_S, *_HISTORY
)
player_history: CachedRead[PlayerHistory] = CachedRead(
    "The player's history", read_player_history, freshness.HISTORY_TTL_S, CONTEXT, PREDICTIONS
)
usual_nights: CachedRead[CoverageHistory] = CachedRead(
    "The coverage history", read_history, freshness.USUAL_NIGHTS_TTL_S, *_HISTORY
)
newest_record: CachedRead[BatchRecord | None] = CachedRead(
    "The ledger", read_newest_record, freshness.BATCHES_TTL_S, *_BATCHES
)
writes: CachedRead[DmlReport] = CachedRead(
    "The job history", read_night_writes, freshness.WRITES_TTL_S, *_BATCHES, JOBS
)
staging: CachedRead[StagingInventory] = CachedRead(
    "The list of staging tables", read_inventory, freshness.STAGING_TTL_S, *_BATCHES, PREDICTIONS
)
service_capacities: CachedRead[ServiceCapacities] = CachedRead(
    "Cloud Run", read_service_capacities, freshness.SERVICE_CAPACITIES_TTL_S, CLOUD_RUN
)
deploys: CachedRead[DeployHistory] = CachedRead(
    "Cloud Run, the revisions", read_deploy_history, freshness.DEPLOYS_TTL_S, CLOUD_RUN
)
first_night: CachedRead[date | None] = CachedRead(
    "The calendar", read_first_night, freshness.FIRST_NIGHT_TTL_S, CONTEXT
)
phases: CachedRead[NightPhases] = CachedRead(
    "The pipeline's steps", read_phases, freshness.PHASES_TTL_S, CONTEXT, ODDS, PREDICTIONS
)
batches: CachedRead[Batches] = CachedRead("The list of batches", read_batches, freshness.BATCHES_TTL_S, *_BATCHES)
worker_capacity: CachedRead[WorkerCapacity] = CachedRead(
    "Cloud Run, the worker", read_worker_capacity, freshness.WORKER_CAPACITY_TTL_S, CLOUD_RUN
)
batch_details: CachedRead[BatchDetails] = CachedRead(
    "The batch", read_batch_details, freshness.RUN_VERIFICATION_TTL_S, *night.sources, BATCHES
)
run_verification: CachedRead[tuple[VerificationCheck, ...]] = CachedRead(
    "The ledger", read_run_verification, freshness.RUN_VERIFICATION_TTL_S, *night.sources, BATCHES, JOBS
)
names: CachedRead[NameResolutionReport] = CachedRead(
    "The name registry", read_names, freshness.NAMES_TTL_S, CONTEXT, ODDS, ALIASES, REGISTRY
)
run_progress: CachedRead[RunProgress | None] = CachedRead(
    "The coordinator", read_run_progress, freshness.RUN_PROGRESS_TTL_S, COORDINATOR, CLOUD_RUN
)
connection_checks: CachedRead[ConnectionReport] = CachedRead(
    "The connection check", run_checks, freshness.CONNECTION_CHECKS_TTL_S
)
alerts: CachedRead[Alerts] = CachedRead("The alert log", read_alerts, freshness.ALERTS_TTL_S, ALERTS)
log_lines: CachedRead[LogLines] = CachedRead("The log", read_night_lines, freshness.LOG_LINES_TTL_S, *_BATCHES)
own_log: CachedRead[LogAnswer] = CachedRead("The log", answer_search, freshness.LOG_LINES_TTL_S, LOG)
log_tail: CachedRead[LogAnswer] = CachedRead("The log, newest lines", answer_tail, freshness.TAIL_TTL_S, LOG)
explore_cost: CachedRead[Cost] = CachedRead("The estimate", read_cost, freshness.EXPLORE_COST_TTL_S)
explore: CachedRead[Counts] = CachedRead(
    "The warehouse, counts", read_counts, freshness.EXPLORE_TTL_S, *_HISTORY, WORKER_RUNS
)
last_heartbeat: CachedRead[Heartbeat | None] = CachedRead(
    "The watchdog's log", read_last_heartbeat, freshness.LAST_HEARTBEAT_TTL_S
)
schedule: CachedRead[Schedule] = CachedRead("Cloud Scheduler", read_schedule, freshness.SCHEDULE_TTL_S, SCHEDULER)
scheduled_jobs: CachedRead[JobReport] = CachedRead(
    "Cloud Scheduler", read_job_report, freshness.SCHEDULE_TTL_S, SCHEDULER
)
service_states: CachedRead[ServiceReport] = CachedRead(
    "Cloud Run, the services", read_service_report, freshness.DEPLOYS_TTL_S, CLOUD_RUN
)
refused_calls: CachedRead[RefusalReport] = CachedRead("The request logs", read_refusals, freshness.LOG_LINES_TTL_S)
subscriptions: CachedRead[SubscriptionReport] = CachedRead(
    "Pub/Sub", read_subscription_report, freshness.SCHEDULE_TTL_S
)
action_log: CachedRead[ActionLog] = CachedRead("The action log", read_action_log, freshness.ACTION_LOG_TTL_S, ACTIONS)

_forgotten_after: deque[str] = deque(
    maxlen=500
)  # the ended actions, and other events, whose changes are read again already


def night_facts_async(clients: Clients, game_date: date) -> Callable[[], NightFacts]:
    """Start every read that a night is judged on, concurrently; the returned function waits for the slowest."""
    players = night.fetch_async(clients, game_date)
    runs = batches.fetch_async(clients, game_date)
    jobs = writes.fetch_async(clients, game_date)
    usual = usual_nights.fetch_async(clients, *nights_before(game_date))
    record = newest_record.fetch_async(clients, game_date)
    return lambda: _with_steps(
        clients, NightFacts(game_date, clients.now(), players(), runs(), jobs(), usual(), record())
    )


def _with_steps(clients: Clients, facts: NightFacts) -> NightFacts:
    """With the steps before the predictions where players or teams lack: as they were read lately, and read on, unwaited for."""
    players = facts.night.value
    if players is None or not players.lacks_players:
        return facts
    phases.fetch_async(clients, facts.game_date)
    return replace(facts, phases=phases.peek(clients, facts.game_date))


def judgement(clients: Clients, game_date: date) -> tuple[NightFacts, NightJudgement]:
    """What a night is judged on, and its judgement, the same on every page."""
    facts = night_facts_async(clients, game_date)()
    return facts, judge_night(facts, clients.settings)


@dataclass(frozen=True)
class PlatformReadings:
    """What concerns no single night, each part known or unknown on its own."""

    staging: Result[StagingInventory]
    capacities: Result[ServiceCapacities]
    schedule: Result[Schedule]
    alerts: Result[Alerts]
    deploys: Result[DeployHistory]

    @property
    def sources(self) -> tuple[DataSource, ...]:
        """The sources of these readings."""
        tables, services = self.staging.value, self.capacities.value
        single = (self.schedule.value, self.alerts.value, self.deploys.value)
        return (
            *(tables.sources if tables else ()),
            *(services.sources if services else ()),
            *(reading.source for reading in single if reading is not None),
        )


def read_overview(clients: Clients, game_date: date) -> tuple[NightFacts, PlatformReadings]:
    """Read all sources of the overview concurrently, so that it waits for the slowest and not for the sum."""
    facts = night_facts_async(clients, game_date)
    tables, services, jobs, open_alerts, revisions = (
        staging.fetch_async(clients),
        service_capacities.fetch_async(clients),
        schedule.fetch_async(clients),
        alerts.fetch_async(clients),
        deploys.fetch_async(clients),
    )
    return facts(), PlatformReadings(tables(), services(), jobs(), open_alerts(), revisions())


def recent_history(clients: Clients, today: date) -> Result[CoverageHistory]:
    """Coverage of the last nights up to today."""
    return history(clients, *_nights_up_to(today))


def _nights_up_to(last: date) -> tuple[date, date]:
    return last - timedelta(days=HISTORY_DAYS - 1), last


def handoff_inputs(clients: Clients, game_date: date, wait_for_log: Callable[[], Result[ActionLog]]) -> HandoffInputs:
    """Everything a handoff note is written from, read concurrently; a recent night shares the history of the last nights."""
    today = eastern_day(clients.now())
    last = today if (today - game_date).days <= HISTORY_DAYS - 7 else game_date
    facts = night_facts_async(clients, game_date)
    services, revisions = service_capacities.fetch_async(clients), deploys.fetch_async(clients)
    days = history.fetch_async(clients, *_nights_up_to(last))
    alert_log, jobs = alerts.fetch_async(clients), schedule.fetch_async(clients)
    read_facts = facts()
    return HandoffInputs(
        facts=read_facts,
        start=run_window(game_date, read_facts.batches.value)[0],
        capacities=services(),
        deploys=revisions(),
        history=days(),
        alerts=alert_log(),
        action_log=wait_for_log(),
        schedule=jobs(),
        notes=action_log(clients, *notes_window(game_date, clients.now())),
    )


def first_stored_night(clients: Clients, requested: date) -> date | None:
    """The first stored night; None when `requested` is too recent to need it, or when it is unknown."""
    if requested > to_game_date(clients.now()) - timedelta(days=SKIP_CALENDAR_DAYS):
        return None
    return first_night(clients).value


def forget_after(clients: Clients, *actions: Action) -> None:
    """Read again what these ended actions may have changed: once in this process, whoever of its sessions sees them end."""
    new = [action for action in actions if action.action_id not in _forgotten_after]
    _forgotten_after.extend(action.action_id for action in new)
    forget(clients, frozenset[str]().union(*(changed_sources(action.action_name) for action in new)))


def forget_once(clients: Clients, event: str, changed: Sources) -> bool:
    """Read these sources again because of an event; False where this process has done so for it before."""
    if event in _forgotten_after:
        return False
    _forgotten_after.append(event)
    forget(clients, changed)
    return True


def forget(clients: Clients, changed: Sources) -> None:
    """Read again at the next rerun what is made of these sources, and the action log."""
    changed |= {ACTIONS}
    clients.cache.invalidate(changed)
    background_cache.drop(lambda key: key[0].sources & changed)
