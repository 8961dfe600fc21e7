"""Plans for the worker's width: to what, within which limits, what it would mean, and the commands that do the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.actions.plan import Change, Friction, Guard, Plan
from services.actions.verb import Facts
from services.core.errors import BadInput
from services.core.result import Source
from services.gcp.clients import Cloud
from services.scaling.annotations import Setting
from services.scaling.worker_width import (
    ADMITTED,
    CAP_INSTANCES,
    CAP_PRODUCT,
    CAP_REQUESTS,
    EMERGENCY,
    FLOOR_INSTANCES,
    FLOOR_REQUESTS,
    WorkerWidth,
    as_facts,
    narrowed,
    read_worker,
    restored,
    told_time,
    what_if,
)

LONGEST_REVERT = timedelta(hours=24)


@dataclass(frozen=True)
class _Wish:
    """What a scaling verb is asked to reach. `back` is a restore: the notes go, the typed caps do not apply."""

    verb: str
    title: str
    wanted: Setting
    asked: tuple[int | None, int]
    back: bool = False


def plan_narrow(cloud: Cloud, args: Facts) -> Plan:
    """Down to 4 × 3, whatever it is now; `args` may name an instant `revert_at`."""
    width = read_worker(cloud)
    wish = _Wish(
        "scaling.narrow", f"Narrow {width.service} to {_times(*EMERGENCY)}", narrowed(width, *EMERGENCY), EMERGENCY
    )
    return _plan(cloud, width, args, wish)


def plan_restore(cloud: Cloud, args: Facts) -> Plan:
    """Back to the normal values that are noted on the service."""
    width = read_worker(cloud)
    wanted = restored(width)
    return _plan(
        cloud,
        width,
        args,
        _Wish(
            "scaling.restore",
            f"Restore {width.service} to {wanted}",
            wanted,
            (wanted.instances, wanted.requests),
            back=True,
        ),
    )


def plan_set(cloud: Cloud, args: Facts) -> Plan:
    """To the `instances` and `requests` asked for; raises BadInput when they are not whole numbers."""
    instances, requests = _whole(args, "instances"), _whole(args, "requests")
    width = read_worker(cloud)
    title = f"Set {width.service} to {_times(instances, requests)}"
    return _plan(
        cloud, width, args, _Wish("scaling.set", title, narrowed(width, instances, requests), (instances, requests))
    )


def _plan(cloud: Cloud, width: WorkerWidth, args: Facts, wish: _Wish) -> Plan:
    revert_at, now = revert_at_of(args), cloud.now()
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
    instances, requests = wish.asked
    inside = instances is not None and FLOOR_INSTANCES <= instances <= CAP_INSTANCES
    inside = inside and FLOOR_REQUESTS <= requests <= CAP_REQUESTS
    yield Guard(
        "floor and cap",
        inside and (instances or 0) * requests <= CAP_PRODUCT,
        f"{instances} × {requests} must lie within {FLOOR_INSTANCES}–{CAP_INSTANCES} instances,"
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


def _whole(args: Facts, name: str) -> int:
    value = args.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(f"{name} must be a whole number, not {value!r}.", "Type a whole number.")
    return value


def revert_at_of(args: Facts) -> datetime | None:
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
