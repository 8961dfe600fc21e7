"""Scaling: narrow the workers in an emergency, restore them, set other widths, and take a narrowing back by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.actions.life import run_action
from services.actions.plan import Change, Friction, Guard, Plan
from services.actions.record import Action, State
from services.actions.verb import Deed, Facts, Verb, Verdict
from services.foundation.access import Actor
from services.foundation.clients import Cloud
from services.foundation.errors import BadInput
from services.foundation.reading import Source
from services.worker_width import (
    ADMITTED,
    CAP_INSTANCES,
    CAP_PRODUCT,
    CAP_REQUESTS,
    EMERGENCY,
    FLOOR_INSTANCES,
    FLOOR_REQUESTS,
    Setting,
    WorkerWidth,
    as_facts,
    get_service,
    narrowed,
    notes_for,
    patch,
    read_worker,
    restored,
    told_time,
    what_if,
    width_of,
)

TAKES_OVER_WITHIN_S = 180
LONGEST_REVERT = timedelta(hours=24)
_LEVELS = ("service", "revision")


@dataclass(frozen=True)
class _Wish:
    """What a scaling verb is asked to reach. `back` is a restore: the notes go, the typed caps do not apply."""

    verb: str
    title: str
    wanted: Setting
    back: bool = False
    revert_at: str = ""


def plan_narrow(cloud: Cloud, args: Facts) -> Plan:
    """Down to 4 × 3, whatever it is now; `args` may name an instant `revert_at`."""
    width = read_worker(cloud)
    wish = _Wish("scaling.narrow", f"Narrow {width.service} to {_times(*EMERGENCY)}", narrowed(width, *EMERGENCY))
    return _plan(cloud, width, args, wish)


def plan_restore(cloud: Cloud, args: Facts) -> Plan:
    """Back to the normal values that are noted on the service."""
    width = read_worker(cloud)
    wanted = restored(width)
    return _plan(
        cloud, width, args, _Wish("scaling.restore", f"Restore {width.service} to {wanted}", wanted, back=True)
    )


def plan_set(cloud: Cloud, args: Facts) -> Plan:
    """To the `instances` and `requests` asked for; raises BadInput when they are not whole numbers."""
    instances, requests = _whole(args, "instances"), _whole(args, "requests")
    width = read_worker(cloud)
    title = f"Set {width.service} to {_times(instances, requests)}"
    return _plan(cloud, width, args, _Wish("scaling.set", title, narrowed(width, instances, requests)))


def _plan(cloud: Cloud, width: WorkerWidth, args: Facts, wish: _Wish) -> Plan:
    revert_at, now = _revert_at(args), cloud.now()
    before, after = as_facts(width.actual), as_facts(wish.wanted)
    rolls = (width.actual.max_revision, width.actual.requests) != (wish.wanted.max_revision, wish.wanted.requests)
    widens = (wish.wanted.product or 0) > max(ADMITTED, width.actual.product or 0)
    return Plan(
        verb=wish.verb,
        target=width.service,
        title=wish.title + (f" until {told_time(revert_at)}" if revert_at else ""),
        args=dict(args),
        observed={"now": {**before, "etag": width.etag}, "noted": str(width.noted.normal), "wanted": after},
        changes=tuple(_changes(width, wish.wanted, revert_at, rolls)),
        guards=(*_limits(wish), *_state(width, wish), _revert(revert_at, now)),
        planned_at=now,
        undo="Restore puts the normal values back: they are noted on the service itself."
        if not wish.back
        else f"Narrow takes it to {_times(*EMERGENCY)} again.",
        cost="No query. One call to Cloud Run"
        + (", and a new revision that takes over in about a minute." if rolls else "."),
        friction=Friction.TYPED if widens and wish.verb == "scaling.set" else Friction.ONE_CLICK,
        typed=width.service if widens and wish.verb == "scaling.set" else "",
        cautions=tuple(_cautions(width, wish, widens)),
        commands=tuple(_commands(cloud, width, wish, rolls)),
        sources=(Source(f"Cloud Run, {width.service}", now),),
    )


def _changes(width: WorkerWidth, wanted: Setting, revert_at: datetime | None, rolls: bool) -> Iterator[Change]:
    before, after = as_facts(width.actual), as_facts(wanted)
    when = {"service maximum": "at once", "revision maximum": "new revision", "requests per instance": "new revision"}
    for name in before:
        if before[name] != after[name]:
            yield Change(f"{name} ({when[name]})", str(before[name]), str(after[name]))
    yield Change("requests at once", str(width.actual.product or "no limit"), str(wanted.product or "no limit"))
    if rolls:
        yield Change("revision that serves", width.revision, "a new one, as soon as it is ready")
    if revert_at:
        yield Change("reverts by itself", "no", f"at {told_time(revert_at)}")


def _limits(wish: _Wish) -> Iterator[Guard]:
    """Floor and cap, checked where the change is made and not only in the form."""
    instances, requests = wish.wanted.instances, wish.wanted.requests
    inside = instances is not None and FLOOR_INSTANCES <= instances <= CAP_INSTANCES
    inside = inside and FLOOR_REQUESTS <= requests <= CAP_REQUESTS
    yield Guard(
        "floor and cap",
        inside and (wish.wanted.product or 0) <= CAP_PRODUCT,
        f"{_times(instances, requests)} must lie within {FLOOR_INSTANCES}–{CAP_INSTANCES} instances,"
        f" {FLOOR_REQUESTS}–{CAP_REQUESTS} requests each, and {CAP_PRODUCT} requests at once.",
    )


def _state(width: WorkerWidth, wish: _Wish) -> Iterator[Guard]:
    yield Guard(
        "no roll-out under way",
        not width.rolling_out,
        f"{width.service} is rolling out another change."
        if width.rolling_out
        else f"{width.revision} serves, and nothing else is being rolled out.",
    )
    reached = (width.actual.instances, width.actual.requests) == (wish.wanted.instances, wish.wanted.requests)
    same = width.actual == wish.wanted or (reached and not wish.back)
    yield Guard(
        "something to change",
        not same,
        f"{width.service} is {width.actual} already." if same else f"{width.service} is {width.actual} now.",
    )


def _revert(revert_at: datetime | None, now: datetime) -> Guard:
    if revert_at is None:
        return Guard("time to revert", True, "It stays until somebody restores it.")
    ahead = now < revert_at <= now + LONGEST_REVERT
    return Guard(
        "time to revert",
        ahead,
        f"It reverts by itself at {told_time(revert_at)}."
        if ahead
        else "The time to revert must lie within 24 hours from now.",
    )


def _cautions(width: WorkerWidth, wish: _Wish, widens: bool) -> Iterator[str]:
    if wish.wanted.instances:
        yield what_if(wish.wanted.instances, wish.wanted.requests).sentence
    if wish.back and width.noted.normal is None:
        yield f"Nobody noted normal values on the service; {_times(*width.configured)} is what the configuration says."
    if width.drift:
        yield width.drift
    if widens:
        yield f"This is wider than the {ADMITTED} writes that the predictions table admits: safe only with staged writes."


def _commands(cloud: Cloud, width: WorkerWidth, wish: _Wish, rolls: bool) -> Iterator[str]:
    base = f"gcloud run services update {width.service} --region={cloud.settings.region}"
    yield f"{base} --max={wish.wanted.max_service or 'default'}"
    if rolls:
        yield f"{base} --max-instances={wish.wanted.max_revision or 'default'} --concurrency={wish.wanted.requests}"


def _wanted(plan: Plan) -> Setting:
    told = plan.observed["wanted"]
    maxima = [None if told[f"{level} maximum"] == "not set" else int(told[f"{level} maximum"]) for level in _LEVELS]
    return Setting(maxima[0], maxima[1], int(told["requests per instance"]))


def _effect(deed: Deed) -> Facts:
    cloud, plan, wanted = deed.cloud, deed.plan, _wanted(deed.plan)
    width = read_worker(cloud)
    at = _revert_at(plan.args)
    notes = (
        {}
        if plan.verb == "scaling.restore"
        else notes_for(width, wanted, deed.actor.name, at.isoformat() if at else "")
    )
    changed = width_of(cloud, patch(cloud, width, plan.observed["now"]["etag"], wanted, notes))
    if changed.rolling_out:
        deed.note("The new revision is being rolled out.")
    _wait_until_it_serves(cloud)
    return {"etag before": plan.observed["now"]["etag"]}


def _wait_until_it_serves(cloud: Cloud) -> None:
    patience_ends = time.monotonic() + TAKES_OVER_WITHIN_S
    while read_worker(cloud).rolling_out and time.monotonic() < patience_ends:
        time.sleep(1)


def _verify(cloud: Cloud, plan: Plan, _found: Facts) -> Verdict:
    width = width_of(cloud, get_service(cloud))
    wanted, after = _wanted(plan), {**as_facts(width.actual), "revision": width.revision}
    if width.actual != wanted:
        return Verdict(State.FAILED, f"{width.service} is {width.actual}, not {wanted}.", after)
    if width.rolling_out:
        return Verdict(
            State.UNDER_WAY, f"{width.service} is set to {wanted}, but its new revision does not serve yet.", after
        )
    return Verdict(
        State.DONE,
        f"{width.service} takes {wanted} = {wanted.product} requests at once; {width.revision} serves.",
        after,
    )


NARROW = Verb("scaling.narrow", f"Narrow to {EMERGENCY[0]} × {EMERGENCY[1]}", plan_narrow, _effect, _verify)
RESTORE = Verb("scaling.restore", "Restore", plan_restore, _effect, _verify)
SET = Verb("scaling.set", "Set width", plan_set, _effect, _verify)


def apply_due_reverts(cloud: Cloud, actor: Actor) -> Action | None:
    """Restore the worker if the time noted on it has come; None when there is nothing to revert.

    Whoever looks may call it: of several at once one acts. After somebody else changed the width it is left alone.
    """
    width = read_worker(cloud)
    at = width.noted.revert_at
    if at is None or cloud.now() < at or width.drift:
        return None
    plan = plan_restore(cloud, {})
    return run_action(cloud, actor, RESTORE, plan, reason=f"The time to revert, {told_time(at)}, has come.")


def _whole(args: Facts, name: str) -> int:
    value = args.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(f"{name} must be a whole number, not {value!r}.", "Type a whole number.")
    return value


def _revert_at(args: Facts) -> datetime | None:
    text = args.get("revert_at") or ""
    try:
        at = datetime.fromisoformat(text) if text else None
    except (TypeError, ValueError):
        raise BadInput(f"{text!r} is not an instant.", "Give it as 2025-12-30T08:00:00+00:00.") from None
    if at is not None and at.tzinfo is None:
        raise BadInput(f"{text!r} names no time zone.", "Give it as 2025-12-30T08:00:00+00:00.")
    return at


def _times(instances: int | None, requests: int) -> str:
    return f"{instances or 'any'} × {requests}"
