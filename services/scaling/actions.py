"""Scaling: narrow the workers in an emergency, restore them, set other widths, and take a narrowing back by itself."""

from __future__ import annotations

import time

from services.actions.executor import run_action
from services.actions.log_reader import Action, State
from services.actions.plan import Plan
from services.actions.verb import Deed, Facts, Verb, Verdict
from services.auth.roles import Actor
from services.gcp.clients import Cloud
from services.scaling.annotations import Setting
from services.scaling.plan import plan_narrow, plan_restore, plan_set, revert_at_of
from services.scaling.worker_width import (
    EMERGENCY,
    as_facts,
    get_service,
    notes_for,
    patch,
    read_worker,
    told_time,
    width_of,
)

TAKES_OVER_WITHIN_S, ASK_AGAIN_S = 180, 1.0
_LEVELS = ("service", "revision")


def _wanted(plan: Plan) -> Setting:
    told = plan.observed["wanted"]
    maxima = [None if told[f"{level} maximum"] == "not set" else int(told[f"{level} maximum"]) for level in _LEVELS]
    return Setting(maxima[0], maxima[1], int(told["requests per instance"]))


def _effect(deed: Deed) -> Facts:
    cloud, plan, wanted = deed.cloud, deed.plan, _wanted(deed.plan)
    width = read_worker(cloud)
    at = revert_at_of(plan.args)
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
        time.sleep(ASK_AGAIN_S)


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
