"""What the rules say of the facts: each speaks, is quiet, or cannot know. Pure; the clock is an argument."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from services.alerts import batch_checks as of_batch
from services.alerts.facts import Facts
from services.alerts.findings import BLIND, QUIET, SPEAKS, Finding, Look, Told, clock_time, of_all, share
from services.alerts.rules import BY_NAME
from services.batches.ids import parse_name
from services.batches.state import LIVE, BatchState
from services.core.result import Health
from services.core.settings import Settings
from services.nights.missing_players import Why, account, missing
from services.policy.coverage_thresholds import judge as judge_coverage

WRITE_SUCCESS_PCT = 99.0
NAMES_MORE, NAMES_POINTS_MORE = 10, 10.0
EXPIRES_WITHIN = timedelta(hours=24)
CAUSE_OF = {  # coverage is a symptom: it belongs to what lost most of the players
    Why.WRITE_REJECTED: "writes",
    Why.NOT_CONSOLIDATED: "run",
    Why.NEVER_REQUESTED: "run",
    Why.NOT_RUN_YET: "run",
    Why.INACTIVE: "rows",
}


def judge(facts: Facts, settings: Settings, now: datetime) -> tuple[Finding, ...]:
    """What every rule says; one finding per rule and night, and one per rule that is about no night."""
    found = [f for night in facts.nights for f in _of_night(Look(night, settings, now))]
    return (*found, *_of_place(facts, settings, now))


def _of_night(look: Look) -> Iterator[Finding]:
    newest = look.night.newest
    for name, tell in _NIGHTLY.items():
        told, rule = tell(look), BY_NAME[name]
        yield Finding(
            rule,
            told.health,
            told.sentence,
            told.cause or rule.cause,
            look.night.game_date,
            newest.batch_id if newest else "",
        )


def _dml(look: Look) -> Told:
    writes = look.night.writes.value
    if writes is None or (writes.rejected is None and writes.rejected_in_logs is None):
        return BLIND
    if writes.alert_at is None:
        return QUIET
    count = writes.rejected if writes.rejected is not None else writes.rejected_in_logs
    return Told(
        Health.CRITICAL,
        f"{count} writes rejected{of_all(writes.attempted)}; {look.settings.dml_alert_errors} within"
        f" {look.settings.dml_alert_window_s} s at {clock_time(writes.alert_at)}",
    )


def _success(look: Look) -> Told:
    night = look.night.night.value
    if night is None or night.generated_rows is None:
        return BLIND
    generated = [p for p in night.players if p.eligible and p.generated_rows]
    refused = [m for m in missing(night) if m.why is Why.WRITE_REJECTED]
    if not generated or 100 * (1 - len(refused) / len(generated)) >= WRITE_SUCCESS_PCT:
        return QUIET
    return Told(Health.CRITICAL, f"{len(refused)} of {len(generated)} generated players were rejected on write")


def _duplicates(look: Look) -> Told:
    count = look.night.duplicates
    if not count.known:
        return BLIND
    return Told(Health.CRITICAL, f"{count.value} keys have more than one active row") if count.value else QUIET


def _coverage(look: Look) -> Told:
    night, newest = look.played, look.night.newest
    if night is None:
        return BLIND if look.night.night.value is None else QUIET
    ended = newest is not None and newest.state not in LIVE
    if night.ran is False or not (ended or look.due):
        return QUIET
    told = account(night)
    if not told.expected:
        return QUIET
    health = judge_coverage(told.active, told.expected, night.games, look.settings)
    if health not in SPEAKS:
        return QUIET
    gone = told.expected - told.active
    why = Counter(m.why for m in missing(night) if m.player.eligible).most_common(1)[0][0]
    share = f"{told.active} of {told.expected} eligible players are active ({100 * told.active / told.expected:.1f} %)"
    return Told(health, f"{share}: {gone} missing, most {why}", CAUSE_OF.get(why, "run" if _stopped(look) else ""))


def _stopped(look: Look) -> bool:
    """Whether the newest batch stopped on its way, so that who was not generated is its doing."""
    newest = look.night.newest
    return newest is not None and (newest.state is BatchState.STALLED or not newest.generated)


def _names(look: Look) -> Told:
    slate = look.night.slate.value
    if slate is None:
        return BLIND
    more = slate.unresolved - slate.unresolved_before
    points = share(slate.unresolved, slate.lined) - share(slate.unresolved_before, slate.lined_before)
    if not slate.lined_before or more < NAMES_MORE or points < NAMES_POINTS_MORE:
        return QUIET
    before = f"{slate.unresolved_before} of {slate.lined_before} the night before"
    told = f"{slate.unresolved} of {slate.lined} names with odds meet nobody in the context, {slate.through_alias} only by an alias"
    return Told(Health.WARNING, f"{told}; {before}")


_NIGHTLY: dict[str, Callable[[Look], Told]] = {
    "dml_rejections": _dml,
    "write_success": _success,
    "stalled": of_batch.stalled,
    "at_zero": of_batch.at_zero,
    "produced_nothing": of_batch.nothing,
    "consolidation": of_batch.consolidation,
    "not_run": of_batch.not_run,
    "duplicates": _duplicates,
    "conservation": of_batch.conservation,
    "coverage": _coverage,
    "names": _names,
    "silence": of_batch.silence,
}


def _of_place(facts: Facts, settings: Settings, now: datetime) -> Iterator[Finding]:
    """The rules that are about no night."""
    for name, told in (
        ("staging_orphans", _orphans(facts, settings, now)),
        ("width", _width(facts)),
        ("schedule", _schedule(facts)),
        ("channel", _channel(facts)),
        ("unreadable", _unreadable(facts)),
    ):
        yield Finding(BY_NAME[name], told.health, told.sentence, told.cause or BY_NAME[name].cause)


def _orphans(facts: Facts, settings: Settings, now: datetime) -> Told:
    if facts.staging.value is None:
        return BLIND
    live = {n.newest.batch_id for n in facts.nights if n.newest is not None and n.live}
    tables = [t for t in facts.staging.value if parse_name(t.name)[0] not in live]
    ends = [t for t in tables if t.expires is not None and t.expires - now < EXPIRES_WITHIN]
    old = [t for t in tables if t.created and now - t.created > timedelta(hours=settings.orphan_after_h)]
    if ends:
        first = min(t.expires for t in ends if t.expires)
        return Told(Health.CRITICAL, f"{len(ends)} staging tables expire, the first at {clock_time(first)}")
    if not old:
        return QUIET
    batches = len({parse_name(t.name)[0] for t in old})
    return Told(
        Health.WARNING, f"{len(old)} staging tables of {batches} batches are older than {settings.orphan_after_h:g} h"
    )


def _width(facts: Facts) -> Told:
    worker = facts.worker.value
    if worker is None:
        return BLIND
    if worker.actual.instances is None:
        return Told(Health.CRITICAL, f"{worker.service} has no maximum of instances")
    return Told(Health.WARNING, worker.drift) if worker.drift and not worker.rolling_out else QUIET


def _schedule(facts: Facts) -> Told:
    schedule = facts.schedule.value
    if schedule is None:
        return BLIND
    return Told(Health.CRITICAL, "; ".join(schedule.troubles)) if schedule.troubles else QUIET


def _channel(facts: Facts) -> Told:
    if not facts.channel.is_set:
        return Told(Health.WARNING, "No channel is set: alerts are shown here and reach nobody")
    return Told(Health.CRITICAL, facts.channel.trouble) if facts.channel.trouble else QUIET


def _unreadable(facts: Facts) -> Told:
    problems = facts.problems
    if not problems:
        return QUIET
    return Told(Health.UNKNOWN, "; ".join(f"{p.source}: {p.sentence}" for p in problems)[:600])
