"""The watchdog: looks at tonight, raises what is wrong, tells somebody, mends what is safe to mend, and says that it looked.

`python -m services.alerts.watchdog` looks once (for a Cloud Run job); `--every 60` goes on. Any number of them may run.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from services.actions.background import Ticket
from services.alerts.alert_log import WATCHDOG, Alert, Alerts, Event, append, fold, read_alerts
from services.alerts.evaluation import judge
from services.alerts.facts import ChannelFacts, Facts, Memory, read_facts
from services.alerts.findings import Finding
from services.alerts.incidents import Incident, group, undecided
from services.alerts.remediation import apply_reverts, apply_steps, plan_steps
from services.alerts.slack import Delivery, deliver
from services.core.clock import eastern_day, night_of
from services.core.errors import OnCallError
from services.core.result import SEVERITY, Health
from services.core.settings import Settings
from services.gcp import logging_setup as log
from services.gcp.clients import Cloud, connect
from services.policy.concurrency_config import SelfHealingConfig

SERVICE = "prediction-watchdog"
LET_BE = timedelta(minutes=15)  # an alert that a person has resolved is not opened again sooner
LOOK_BACK_NIGHTS = 7
log_line = logging.getLogger("watchdog")


@dataclass(frozen=True)
class Look:
    """One look: what was judged, what changed by it, how the telling went, what was begun."""

    at: datetime
    findings: tuple[Finding, ...]
    incidents: tuple[Incident, ...]
    changed: tuple[Event, ...]
    delivery: Delivery | None
    begun: tuple[Ticket, ...] = field(default=(), compare=False)


def look(cloud: Cloud, memory: Memory, healing: SelfHealingConfig) -> Look:
    """Look once; raises OnCallError when the alerts themselves cannot be read or written."""
    before = read_alerts(memory.door(cloud))
    facts = read_facts(cloud, nights(before, cloud.now()), channel_of(cloud.settings, before), memory)
    now = cloud.now()
    findings = judge(facts, cloud.settings, now)
    incidents = group(findings)
    planned = plan_changes(before, incidents, undecided(findings), watched(facts), cloud.settings, now)
    changed = tuple(event for event in planned if append(cloud, event))
    after, begun = _mend(cloud, _with(before, changed), facts, findings, healing)
    told = deliver(cloud, _tellable(after, healing))
    return Look(now, findings, incidents, changed, told, begun)


def _mend(
    cloud: Cloud, alerts: tuple[Alert, ...], facts: Facts, findings: Iterable[Finding], healing: SelfHealingConfig
) -> tuple[tuple[Alert, ...], tuple[Ticket, ...]]:
    """Begin what mends, and note it at its alert so that it is told with it. What fails here must not silence the alert."""
    now, noted = cloud.now(), []
    try:
        begun = apply_steps(cloud, plan_steps(findings, facts, healing, now))
        for step, ticket in begun:
            alert = next((a for a in alerts if (a.cause, a.game_date) == step.about and not a.ended), None)
            event = alert.next("mending", now, WATCHDOG, reason=ticket.title) if alert else None
            if event is not None and append(cloud, event):
                noted.append(event)
        apply_reverts(cloud, findings)
    except OnCallError as error:
        log_line.error("Watchdog could not mend: %s", error)
        begun = ()
    return fold([*(e for a in alerts for e in a.events), *noted]), tuple(ticket for _, ticket in begun)


def nights(alerts: Alerts, now: datetime) -> tuple[date, ...]:
    """Tonight, and every earlier night that something is still open about."""
    tonight = night_of(now)
    open_nights = {a.game_date for a in alerts.open if a.game_date and (tonight - a.game_date).days <= LOOK_BACK_NIGHTS}
    return tuple(sorted(open_nights | {tonight}, reverse=True))


def watched(facts: Facts) -> frozenset[date]:
    return frozenset(night.game_date for night in facts.nights)


def channel_of(settings: Settings, alerts: Alerts) -> ChannelFacts:
    """Whether the last message arrived, by the record of all watchdogs."""
    tries = [e for a in alerts.alerts for e in a.events if e.event in ("told", "not told")]
    last = max(tries, key=lambda e: e.recorded_at, default=None)
    trouble = str(last.facts.get("delivery", last.sentence)) if last is not None and last.event == "not told" else ""
    return ChannelFacts(bool(settings.slack_webhook_url), trouble)


def plan_changes(
    alerts: Alerts,
    incidents: Iterable[Incident],
    unknown: frozenset[tuple[str, date | None]],
    looked_at: frozenset[date],
    settings: Settings,
    now: datetime,
) -> tuple[Event, ...]:
    """What the look changes: opened, opened again, worse than before, otherwise than before, over. Pure. What is unknown closes nothing."""
    incidents = tuple(incidents)
    speaking = {(i.cause, i.night) for i in incidents}
    events = [event for i in incidents if (event := _raised(i, alerts.of(i.cause, i.night), settings, now)) is not None]
    for alert in alerts.open:
        key = (alert.cause, alert.game_date)
        judged = alert.game_date is None or alert.game_date in looked_at
        if key not in speaking and key not in unknown and judged:
            events.append(alert.next("resolved", now, WATCHDOG, sentence="The rules are quiet again."))
    tests = [a for a in alerts.alerts if a.cause == "test" and not a.ended and any(e.event == "told" for e in a.events)]
    return (*events, *(test.next("resolved", now, WATCHDOG, sentence="It arrived.") for test in tests))


def _raised(incident: Incident, alert: Alert | None, settings: Settings, now: datetime) -> Event | None:
    """The event by which an incident is told, or None where its alert says all of it already."""
    told: dict[str, Any] = {
        "severity": incident.severity,
        "rule": incident.rule.name,
        "sentence": incident.sentence,
        "facts": {"findings": [_finding(f, settings) for f in incident.findings]},
    }
    if alert is None or (alert.ended and alert.game_date is None and eastern_day(alert.since) != eastern_day(now)):
        day = incident.night or eastern_day(now)
        return Event(f"{incident.cause}-{day}", 1, "opened", now, WATCHDOG, incident.cause, incident.night, **told)
    if alert.ended:
        let_be = alert.change.actor != WATCHDOG and now - alert.change.recorded_at < LET_BE
        return None if let_be else alert.next("reopened", now, WATCHDOG, **told)
    if SEVERITY.index(incident.severity) < SEVERITY.index(alert.severity):
        return alert.next("worsened", now, WATCHDOG, **told)
    same = (alert.severity, alert.sentence, list(alert.findings)) == (
        incident.severity,
        incident.sentence,
        told["facts"]["findings"],
    )
    return None if same else alert.next("updated", now, WATCHDOG, **told)


def _finding(finding: Finding, settings: Settings) -> dict[str, str]:
    return {
        "rule": finding.rule.name,
        "health": str(finding.health),
        "sentence": finding.sentence,
        "command": finding.command(settings),
    }


def _with(alerts: Alerts, events: Sequence[Event]) -> tuple[Alert, ...]:
    return fold([*(e for a in alerts.alerts for e in a.events), *events])


def _tellable(alerts: Sequence[Alert], healing: SelfHealingConfig) -> tuple[Alert, ...]:
    """SELF_HEALING_ALERT_ON_DML_LIMIT=false keeps that one rule from telling anybody; it is shown all the same."""
    return tuple(a for a in alerts if healing.alert_on_dml_limit or a.rule != "dml_rejections")


def sentence_of(done: Look) -> str:
    """The line that says that the watchdog looked: its absence is what Cloud Monitoring waits for."""
    counts = {health: sum(f.health is health for f in done.findings) for health in (Health.OK, Health.UNKNOWN)}
    told = f", {done.delivery.sentence}" if done.delivery else ""
    return (
        f"Watchdog looked: {len(done.incidents)} incidents, {counts[Health.OK]} rules quiet,"
        f" {counts[Health.UNKNOWN]} unknown, {len(done.changed)} changes{told}"
    )


def say(done: Look) -> None:
    """Log the look, and what it changed."""
    for event in (e for e in done.changed if e.event != "updated"):
        log_line.warning("ALERT %s %s %s: %s", event.event, event.severity, event.alert_id, event.sentence)
    log_line.info(sentence_of(done))


def watch(cloud: Cloud, every_s: float | None, env: Mapping[str, str]) -> int:
    """Look once, or again and again. What goes wrong with one look is logged, and the next is taken all the same."""
    memory, healing = Memory(), SelfHealingConfig.from_env(env)
    while True:
        began = time.monotonic()
        try:
            done = look(cloud, memory, healing)
            say(done)
        except Exception as error:  # a fault in one look, ours included, must not be the end of watching
            log_line.error("Watchdog is blind: %s: %s", type(error).__name__, error)
            if every_s is None:
                return 1
        else:
            if every_s is None:
                return _wait(done.begun)
        time.sleep(max(0.0, every_s - (time.monotonic() - began)))


def _wait(begun: Iterable[Ticket]) -> int:
    for ticket in begun:
        ticket.end.exception()
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.alerts.watchdog", description=__doc__)
    parser.add_argument(
        "--every", type=float, metavar="SECONDS", help="look again after so many seconds; without it, once"
    )
    asked = parser.parse_args(arguments)
    try:
        cloud = connect(Settings.from_env())
        log.set_up(cloud, SERVICE, os.environ.get("K_REVISION", "local"))
        return watch(cloud, asked.every, os.environ)
    except OnCallError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
