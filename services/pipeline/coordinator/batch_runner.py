"""One run from request to proof: who is eligible, ask the workers, consolidate what they staged, verify, and record every step."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from services.batches import ids as names
from services.batches.ledger import Entry, Ledger, Outcome
from services.batches.reader import Batch, read_batches
from services.batches.state import LIVE, BatchState
from services.core.errors import BadInput, OnCallError
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud
from services.gcp.retry import Policy
from services.names.resolver import How
from services.pipeline.consolidator import ConsolidationResult, Consolidator
from services.pipeline.coordinator.dispatcher import dispatch, target
from services.pipeline.warehouse import BigQueryDoor, Staged
from services.policy.concurrency_config import SelfHealingConfig, WorkerConcurrencyConfig
from services.policy.coverage_thresholds import judge
from services.policy.eligibility import MINUTES_NEEDED

log_line = logging.getLogger("coordinator")
ROUNDS = 3  # consolidations of one batch, when tables keep coming late


class AlreadyRunning(OnCallError):
    """A batch of this date is running."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        super().__init__(
            f"{batch.batch_id} is {batch.state} for {batch.game_date}.",
            "Wait for it, or resume it when it has stalled.",
        )


class NoPlayers(OnCallError):
    """No player of this date is eligible."""


@dataclass(frozen=True)
class Run:
    """A batch that may start: its id, its date and the context rows of the players it asks for."""

    batch_id: str
    game_date: date
    games: int
    eligible: int
    players: tuple[Mapping[str, Any], ...]
    started_by: str


class Coordinator:
    """Runs batches of one project; what it knows is in the ledger, so another instance can go on where it stopped."""

    def __init__(self, cloud: Cloud, retry: Policy | None = None) -> None:
        healing = SelfHealingConfig.from_env()
        self._cloud = cloud
        self._retry = retry or Policy(retries=healing.dml_max_retries if healing.dml_backoff_enabled else 0)
        self.holder = f"{os.environ.get('K_REVISION', 'coordinator')}-{socket.gethostname()}-{os.getpid()}"
        self._ledger, self._door = Ledger(cloud, self._retry), BigQueryDoor(cloud)
        self._starting = threading.Lock()
        self.progress: dict[str, Counter[str]] = {}

    # --- starting -----------------------------------------------------------------------------------------------------

    def plan(
        self, game_date: date, *, min_minutes: float = MINUTES_NEEDED, players: Sequence[str] = (), started_by: str = ""
    ) -> Run | None:
        """What a run would ask for; None on a date without games. Raises NoPlayers, or BadInput for a player who is not eligible."""
        games = catalog.run(self._cloud, "pipeline.games", game_date=game_date).rows
        if not games:
            return None
        rows = catalog.run(
            self._cloud, "pipeline.eligible", game_date=game_date, minutes_needed=float(min_minutes)
        ).rows
        if not rows:
            raise NoPlayers(
                f"No player of {game_date} is eligible: {len(games)} games, none with minutes, status and readiness."
            )
        unknown = sorted(set(players) - {row["player_lookup"] for row in rows})
        if unknown:
            raise BadInput(
                f"Not eligible on {game_date}: {', '.join(unknown[:5])}{' …' if len(unknown) > 5 else ''}.",
                "Nothing was started.",
            )
        chosen = tuple(row for row in rows if not players or row["player_lookup"] in players)
        led = [row["player_lookup"] for row in chosen if row["line_led"] == How.ALIAS]
        if led:
            log_line.info("Lines through an alias of the odds: %d (%s)", len(led), ", ".join(led[:10]))
        return Run(names.batch_id(game_date, self._cloud.now()), game_date, len(games), len(rows), chosen, started_by)

    def running(self, game_date: date) -> Batch | None:
        """The batch of a date that is under way, if any; one that nobody has written to for long counts as stalled, not running."""
        return next(
            (b for b in read_batches(self._cloud, game_date).batches if b.recorded_in == "ledger" and b.state in LIVE),
            None,
        )

    def begin(self, run: Run) -> None:
        """Record a batch as requested; raises AlreadyRunning with its name. From here on a resume can finish it."""
        with self._starting:
            if (other := self.running(run.game_date)) is not None:
                raise AlreadyRunning(other)
            self._record(_first(run, self.holder))
        log_line.info(
            "Starting prediction batch for %s (batch=%s, by=%s)",
            run.game_date,
            run.batch_id,
            run.started_by or "unknown",
        )

    # --- running ------------------------------------------------------------------------------------------------------

    def finish(self, run: Run) -> Entry:
        """From requested to consolidated; any failure ends in a named state with its reason, and every staged row stays."""
        entry = self._entry(run.batch_id, run.game_date)
        try:
            entry = self._ask(run, entry)
            return self._consolidate(entry)
        except Exception as error:
            log_line.exception("Batch %s stopped", run.batch_id)
            reason = str(error) if isinstance(error, OnCallError) else f"{type(error).__name__}: {error}"
            failed = (
                BatchState.CONSOLIDATION_FAILED
                if entry.state in (BatchState.STAGED, BatchState.CONSOLIDATING)
                else BatchState.STALLED
            )
            latest = self._entry(run.batch_id, run.game_date)
            log_line.error("Consolidation FAILED: %s (batch=%s)", reason, run.batch_id)
            return self._next(latest, failed, reason=reason[:1000])

    def resume(self, batch: str) -> Run:
        """What is left of a batch that stopped: what is staged or recorded is adopted, the rest is asked again. Raises BadInput."""
        try:
            game_date = names.date_of(batch)
        except ValueError as wrong:
            raise BadInput(f"{wrong}.", "Take it from the runs page.") from None
        entry = self._ledger.newest(batch, game_date)
        if entry is None:
            raise BadInput(
                f"The ledger has no batch {batch}.", "A batch of another coordinator cannot be resumed here."
            )
        known = self._ledger.players(batch, game_date)
        wanted = entry.details.get("players") or list(known)
        plan = self.plan(game_date, players=[])
        rows = {row["player_lookup"]: row for row in (plan.players if plan else ())}
        there = {table.table: table for table in self._door.staged(names.staging_prefix(batch))}
        adopted = [
            self._adopt(batch, who, there) for who in wanted if names.staging_table(batch, names.unit(who)) in there
        ]
        self._ledger.outcomes(batch, game_date, [o for o in adopted if o.player_lookup not in known])
        done = {o.player_lookup for o in adopted} | {
            who for who, o in known.items() if o.outcome == "not generated" or o.staged
        }
        left = tuple(rows[who] for who in wanted if who not in done and who in rows)
        self._next(
            entry,
            BatchState.RUNNING,
            reason=f"resumed: {len(adopted)} players adopted from staging, {len(left)} asked again",
        )
        return Run(batch, game_date, plan.games if plan else 0, entry.eligible or len(rows), left, entry.started_by)

    def _adopt(self, batch: str, who: str, there: Mapping[str, Staged]) -> Outcome:
        table = there[names.staging_table(batch, names.unit(who))]
        return Outcome(who, names.unit(who), "staged", "adopted", "", table.rows, table.rows, table.table)

    def _ask(self, run: Run, entry: Entry) -> Entry:
        to = target(self._cloud, WorkerConcurrencyConfig.from_env().at_once)
        entry = self._next(entry, BatchState.RUNNING, reason=f"{len(run.players)} players asked, {to.at_once} at once")
        log_line.info(
            "Published %d/%d prediction requests [batch=%s]", len(run.players), len(run.players), run.batch_id
        )
        seen = self.progress[run.batch_id] = Counter()
        found = dispatch(
            self._cloud, to, run.batch_id, run.game_date, run.players, self._retry, lambda o: seen.update([o.outcome])
        )
        self._ledger.outcomes(run.batch_id, run.game_date, found)
        everyone = {**self._ledger.players(run.batch_id, run.game_date), **{o.player_lookup: o for o in found}}
        staged = [o for o in everyone.values() if o.staged]
        return self._next(
            entry,
            BatchState.STAGED,
            reason=f"{len(staged)} of {len(everyone)} players staged",
            generated=sum(bool(o.produced_rows) for o in everyone.values()),
            produced_rows=sum(o.produced_rows or 0 for o in everyone.values()),
            staged_rows=sum(o.staged_rows or 0 for o in staged),
            staged_tables=len(staged),
        )

    def _consolidate(self, entry: Entry) -> Entry:
        entry = self._next(entry, BatchState.CONSOLIDATING, reason="")
        done = self._rounds(entry)
        players, rows = self._active(entry.game_date)
        short = (entry.produced_rows or 0) - (entry.staged_rows or 0)
        reason = "" if not short else f"{short} rows were produced and never staged: resume asks for them again"
        verdict = judge(players, entry.eligible, 1, self._cloud.settings)
        self._ledger.coverage(entry.batch_id, entry.game_date, entry.eligible or 0, players, rows, verdict.value)
        log_line.info(
            "Consolidation SUCCESS: %d rows merged from %d staging tables", done.distinct_keys, len(done.tables)
        )
        text = "Coverage check for %s: %d/%d (%.1f%%) - Missing: %d"
        eligible = entry.eligible or 0
        log_line.info(
            text, entry.game_date, players, eligible, 100 * players / eligible if eligible else 0, eligible - players
        )
        return self._next(
            entry,
            BatchState.CONSOLIDATED,
            reason=reason,
            staged_rows=done.staged_rows,
            distinct_keys=done.distinct_keys,
            collapsed_rows=done.collapsed_rows,
            inserted=done.inserted,
            updated=done.updated,
            unchanged=done.unchanged,
            deactivated=done.deactivated,
            active_players=players,
            active_rows=rows,
            merge_job_id=done.merge_job_id,
            fence=done.fence,
        )

    def _rounds(self, entry: Entry) -> ConsolidationResult:
        """Consolidate; and again while tables of the batch came too late for the round before."""
        total: ConsolidationResult | None = None
        for _ in range(ROUNDS):
            log_line.info("Executing consolidation MERGE for batch=%s", entry.batch_id)
            done = Consolidator(self._door, self.holder, self._retry).consolidate(entry.batch_id, entry.game_date)
            total = done if total is None else added(total, done)
            if not done.late_tables:
                return total
        raise OnCallError(
            f"{done.late_tables} staging tables of {entry.batch_id} keep changing; they are kept.",
            "Look at the workers, then consolidate again.",
        )

    def _active(self, game_date: date) -> tuple[int, int]:
        keys = self._door.keys(names.PREDICTIONS, game_date)
        active = [key for key, rows in keys.items() if any(rows)]
        return len({key[2] for key in active}), sum(sum(rows) for rows in keys.values())

    # --- the ledger ----------------------------------------------------------------------------------------------------

    def _entry(self, batch: str, game_date: date) -> Entry:
        entry = self._ledger.newest(batch, game_date)
        if entry is None:
            raise OnCallError(f"The ledger has no batch {batch}.")
        return entry

    def _next(self, entry: Entry, state: BatchState, **told: Any) -> Entry:
        return self._record(replace(entry, state=state, sequence=entry.sequence + 1, holder=self.holder, **told))

    def _record(self, entry: Entry) -> Entry:
        self._ledger.state(entry)
        return entry


def _first(run: Run, holder: str) -> Entry:
    return Entry(
        run.batch_id,
        run.game_date,
        BatchState.REQUESTED,
        1,
        holder,
        started_by=run.started_by,
        eligible=run.eligible,
        requested=len(run.players),
        details={"players": [row["player_lookup"] for row in run.players]},
    )


def added(one: ConsolidationResult, two: ConsolidationResult) -> ConsolidationResult:
    """The sums of two rounds of one batch."""
    sums = ("staged_rows", "distinct_keys", "collapsed_rows", "inserted", "updated", "unchanged", "deactivated")
    return replace(
        two, tables=one.tables + two.tables, **{name: getattr(one, name) + getattr(two, name) for name in sums}
    )
