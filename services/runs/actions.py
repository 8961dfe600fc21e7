"""Runs as actions: start or re-run a night, resume a batch; each watched to its end and believed only after a re-read."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

from services.actions.log_reader import State
from services.actions.plan import Change, Guard, Plan, Share
from services.actions.verb import Deed, Facts, Note, Verb, Verdict
from services.batches.ids import date_of
from services.batches.reader import Batch, read_batches
from services.batches.state import LIVE, BatchState
from services.core.errors import BadInput, OnCallError, SourceUnreadable
from services.gcp.clients import Cloud
from services.nights.player_stages import Night, read_night
from services.runs.coordinator_client import Progress, read_coordinator, read_progress, resume, start
from services.runs.plan import plan_start

LOOK_EVERY_S = 2.0
TELL_EVERY_S = 10.0
MOVES_WITHIN_S = 90.0  # a batch that was accepted and does nothing for so long is told as such
LONGEST_S = 3_600.0
RESUMABLE = {BatchState.STALLED, BatchState.CONSOLIDATION_FAILED, BatchState.STAGED, BatchState.ABANDONED}


class NothingMoves(OnCallError):
    """The coordinator accepted the batch, and then nothing happened."""


def _start(deed: Deed) -> Facts:
    url = read_coordinator(deed.cloud).url
    who = {"correlation_id": deed.action_id, "parent_processor": deed.actor.name}
    batch_id = start(deed.cloud, url, {**deed.plan.observed["body"], **who})
    deed.note(f"Accepted as {batch_id}.", batch_id=batch_id)
    watch(deed.cloud, url, batch_id, deed.note)
    return {"batch_id": batch_id}


def watch(cloud: Cloud, url: str, batch_id: str, note: Note) -> None:
    """Follow a batch until its coordinator says it has ended; raises NothingMoves when it stands still."""
    began = moved = told = time.monotonic()
    last: tuple[Any, ...] = ()
    while (now := time.monotonic()) - began < LONGEST_S:
        seen = _look(cloud, url, batch_id)
        if seen is not None and seen.ended:
            return
        state = (seen.completed, seen.told.get("state"), seen.status) if seen else ()
        if state != last:
            last, moved = state, now
        if seen is not None and now - told > TELL_EVERY_S:
            note(sentence_of(seen))
            told = now
        if now - moved > MOVES_WITHIN_S:
            what = sentence_of(seen) if seen else "the coordinator knows no such batch"
            raise NothingMoves(f"{batch_id} was accepted, but for {MOVES_WITHIN_S:.0f} s nothing has moved: {what}.")
        time.sleep(LOOK_EVERY_S)


def _look(cloud: Cloud, url: str, batch_id: str) -> Progress | None:
    """One look; a coordinator that does not answer for a moment is not the end of a run."""
    try:
        return read_progress(cloud, url, batch_id)
    except SourceUnreadable:
        return None


def sentence_of(seen: Progress) -> str:
    of = f" of {seen.requested}" if seen.requested is not None else ""
    return f"{seen.told.get('state', seen.status)}: {seen.completed if seen.completed is not None else 'unknown'}{of} players have answered"


def _verify(cloud: Cloud, plan: Plan, found: Facts) -> Verdict:
    """Done only when every player of the plan has active rows now, whatever the coordinator says of itself."""
    game_date = date.fromisoformat(plan.target)
    night = read_night(cloud, game_date)
    share = _share(night)
    batch = _batch(cloud, game_date, plan, found)
    after = {
        "batch": batch.batch_id if batch else "none",
        "batch state": str(batch.state) if batch else "none",
        "active rows": night.active_rows,
    }
    if batch is not None and batch.state in LIVE:
        return Verdict(State.UNDER_WAY, f"{batch.batch_id} is {batch.state}.", after, share)
    wanted = set(plan.observed["lost"]) or {p.player_lookup for p in night.players if p.eligible}
    absent = sorted(p.player_lookup for p in night.players if p.player_lookup in wanted and not p.active_rows)
    coverage = f"{share.active} of {share.eligible} eligible players are active" if share else "nobody is eligible"
    if batch is None:
        return Verdict(State.FAILED, f"No new batch of {game_date} is to be found; {coverage}.", after, share)
    if absent:
        names = ", ".join(absent[:5]) + (" …" if len(absent) > 5 else "")
        return Verdict(
            State.FAILED,
            f"{batch.batch_id} is {batch.state}, but {len(absent)} of {len(wanted)} are still missing: {names}; {coverage}.",
            after,
            share,
        )
    return Verdict(
        State.DONE, f"{coverage}, {night.active_rows:,} rows; {batch.batch_id} is {batch.state}.", after, share
    )


def _share(night: Night) -> Share | None:
    eligible = [player for player in night.players if player.eligible]
    return Share(sum(bool(player.active_rows) for player in eligible), len(eligible)) if eligible else None


def _batch(cloud: Cloud, game_date: date, plan: Plan, found: Facts) -> Batch | None:
    """The batch of this action: the one it was told, else, where the answer was lost, one that began after the plan."""
    batches = read_batches(cloud, game_date).batches
    if found.get("batch_id"):
        return next((b for b in batches if b.batch_id == found["batch_id"]), None)
    return next((b for b in batches if b.started is not None and b.started >= plan.planned_at), None)


def plan_resume(cloud: Cloud, args: Facts) -> Plan:
    """Resume `batch_id`: what is staged is adopted, what is missing is asked again, then one MERGE."""
    batch_id = str(args.get("batch_id") or "")
    try:
        game_date = date_of(batch_id)
    except ValueError:
        raise BadInput(f"{batch_id!r} is not a batch.", "Choose one on the runs page.") from None
    batch = next((b for b in read_batches(cloud, game_date).batches if b.batch_id == batch_id), None)
    if batch is None:
        raise BadInput(f"No batch {batch_id} is recorded.", "Choose one on the runs page.")
    coordinator = read_coordinator(cloud)
    share = _share(read_night(cloud, game_date))
    own = batch.recorded_in == "ledger" and "resume" in coordinator.supports
    stopped = batch.state in RESUMABLE
    return Plan(
        verb="run.resume",
        target=game_date.isoformat(),
        title=f"Resume {batch_id}",
        args={"batch_id": batch_id},
        observed={
            "state": str(batch.state),
            "staged rows": batch.staged_rows,
            "lost": {},
            "coordinator": coordinator.url,
        },
        changes=(
            Change("batch", f"{batch.state}: {batch.status_text}", "running, then consolidated"),
            Change(
                "players",
                f"{batch.generated if batch.generated is not None else 'unknown'} of {batch.requested} generated",
                "the rest asked again, what is staged adopted",
            ),
        ),
        guards=(
            Guard(
                "coordinator can",
                own,
                "The coordinator can resume it."
                if own
                else "This batch is not of a coordinator that can resume: re-run its lost players, or consolidate its staging tables.",
            ),
            Guard("batch has stopped", stopped, f"{batch_id} is {batch.state}."),
        ),
        planned_at=cloud.now(),
        undo="Not by a button: it adds and updates rows, it deletes none.",
        cost="One MERGE at the end.",
        commands=(
            f"curl -X POST {coordinator.url}/resume -H 'Content-Type: application/json' -d '{{\"batch_id\": \"{batch_id}\"}}'",
        ),
        coverage=share,
    )


def _resume(deed: Deed) -> Facts:
    url, batch_id = read_coordinator(deed.cloud).url, deed.plan.args["batch_id"]
    resume(deed.cloud, url, {"batch_id": batch_id})
    deed.note(f"{batch_id} is resumed.", batch_id=batch_id)
    watch(deed.cloud, url, batch_id, deed.note)
    return {"batch_id": batch_id}


START = Verb("run.start", "Run", plan_start, _start, _verify)
RESUME = Verb("run.resume", "Resume", plan_resume, _resume, _verify)
