"""What the watchdog mends by itself: it narrows, resumes, consolidates. Each step can be switched off; nothing is ever deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from services.actions.background import RUNNER, Ticket
from services.actions.executor import run_action
from services.actions.log_reader import Action, read_log
from services.actions.verb import Facts as Args
from services.actions.verb import Verb
from services.alerts.facts import Facts
from services.alerts.findings import Finding
from services.auth.roles import Actor, Role
from services.batches.ids import parse_name
from services.batches.state import LIVE
from services.core.errors import OnCallError
from services.gcp.clients import Cloud
from services.policy.concurrency_config import SelfHealingConfig
from services.runs.actions import RESUME
from services.scaling.actions import NARROW, apply_due_reverts
from services.scaling.worker_width import EMERGENCY
from services.staging.consolidate import CONSOLIDATE
from services.telemetry.dml_jobs import DmlReport, of_crowding

ACTOR = Actor("watchdog", Role.OPERATOR)
COOL_DOWN = timedelta(minutes=30)  # the same step on the same target is not repeated sooner
CALM_AFTER = timedelta(hours=1)  # a narrowing of its own ends by then, or as soon after as the writes are calm
FRESH = timedelta(minutes=10)  # an older storm is over: narrowing now would help nobody


@dataclass(frozen=True)
class Step:
    """One thing to mend, with the finding that calls for it."""

    verb: Verb
    target: str
    args: Args
    why: str
    about: tuple[str, date | None]  # cause and night of the alert that it mends


def plan_steps(
    findings: Iterable[Finding], facts: Facts, healing: SelfHealingConfig, now: datetime
) -> tuple[Step, ...]:
    """What to do about the findings. Pure."""
    return tuple(step for finding in findings if finding.speaks for step in _steps(finding, facts, healing, now))


def _steps(finding: Finding, facts: Facts, healing: SelfHealingConfig, now: datetime) -> Iterator[Step]:
    name, batch, about = finding.rule.name, finding.batch_id, (finding.cause, finding.night)
    of_night = next((n for n in facts.nights if n.game_date == finding.night), None)
    newest = of_night.newest if of_night else None
    if name == "dml_rejections" and healing.auto_reduce_concurrency and of_night:
        worker = facts.worker.value
        if worker is not None and _wide(worker.actual.product) and _fresh(of_night.writes.value, now):
            back = (now + CALM_AFTER).replace(second=0, microsecond=0).isoformat()
            yield Step(NARROW, worker.service, {"revert_at": back}, finding.sentence, about)
    elif name == "stalled" and healing.resume_stalled and newest and newest.recorded_in == "ledger":
        yield Step(RESUME, str(finding.night), {"batch_id": batch}, finding.sentence, about)
    elif name == "consolidation" and healing.consolidate_leftovers and newest and newest.state not in LIVE:
        tables = facts.staging.value or ()
        for left in sorted({parse_name(t.name)[0] for t in tables if parse_name(t.name)[2] == finding.night}):
            yield Step(CONSOLIDATE, left, {"batch_id": left}, finding.sentence, about)


def _wide(product: int | None) -> bool:
    return product is None or product > EMERGENCY[0] * EMERGENCY[1]


def _fresh(writes: DmlReport | None, now: datetime) -> bool:
    if writes is None:
        return False
    times = [a.at for a in writes.attempts if a.ok is False and of_crowding(a.message)] or (
        [writes.alert_at] if writes.alert_at else []
    )
    return bool(times) and now - max(times) <= FRESH


def apply_steps(cloud: Cloud, steps: Iterable[Step]) -> tuple[tuple[Step, Ticket], ...]:
    """Begin each step that has not been tried lately, as an action of the watchdog; long ones go on beside the next looks."""
    now = cloud.now()
    steps = tuple(steps)
    known = read_log(cloud, now - COOL_DOWN, now + timedelta(minutes=1)).actions if steps else ()
    return tuple((step, ticket) for step in steps if (ticket := _begin(cloud, step, known, now)) is not None)


def _begin(cloud: Cloud, step: Step, known: Iterable[Action], now: datetime) -> Ticket | None:
    """None while the step was tried lately, by whomever, or its plan is blocked: then there is nothing to record."""
    if any(a.verb == step.verb.name and (a.target == step.target or a.ended is None) for a in known):
        return None
    try:
        plan = step.verb.plan(cloud, step.args)
    except OnCallError:
        return None
    if plan.blocked:
        return None
    reason = f"The rule speaks: {step.why}"
    return RUNNER.submit(plan, ACTOR.role, now, lambda: run_action(cloud, ACTOR, step.verb, plan, reason))


def apply_reverts(cloud: Cloud, findings: Iterable[Finding]) -> Action | None:
    """Restore a width whose time to revert has come, but not into a storm."""
    if any(f.rule.name == "dml_rejections" and f.speaks for f in findings):
        return None
    return apply_due_reverts(cloud, ACTOR)
