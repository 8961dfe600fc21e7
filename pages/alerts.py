"""Alerts: what is open, whatever the date; who was told and who took it; what happened, in one line of time."""

from __future__ import annotations

import streamlit as st

from app.actions import dialog as actions
from app.actions import status_strip as under_way
from app.charts import night_timeline as night_chart
from app.components import filters, tables, widgets
from app.components import text_format as words
from app.panels import alert_cards
from app.state import reads, session
from services.alerts.actions import REOPEN, TEST
from services.alerts.alert_log import Alerts, AlertState
from services.alerts.rules import RULES
from services.core.clock import night_window
from services.core.result import SEVERITY, Health, worst
from services.reports.event_list import kinds, timeline
from services.telemetry.scheduler import Schedule

cloud, now = session.cloud(), session.now()


def headline(alerts: Alerts) -> tuple[Health, str]:
    waits = [a for a in alerts.open if a.state(now) is AlertState.OPEN]
    if not alerts.open:
        return Health.OK, "Nothing is open"
    many = f"{words.many(len(alerts.open), 'alert')} open"
    taken = len(alerts.open) - len(waits)
    return worst(a.severity for a in alerts.open), f"{many}, {len(waits)} not taken by anybody" + (
        f", {taken} taken or silent" if taken else ""
    )


def ended(alerts: Alerts) -> None:
    for alert in sorted(
        (a for a in alerts.alerts if a.ended and a.cause != "test"), key=lambda a: a.change.recorded_at, reverse=True
    )[:10]:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            by = f"{words.day_time(alert.change.recorded_at)} by {alert.change.actor}"
            st.markdown(f":gray[resolved {words.plain(by)}] {words.plain(alert.sentence)}", width="stretch")
            actions.offer(REOPEN, key=alert.alert_id, alert_id=alert.alert_id)


def next_runs(schedule: Schedule) -> None:
    rows = [
        {
            "job": j.name,
            "next": j.next_at,
            "last": j.last_at,
            "trouble": j.trouble or "none",
            "schedule": j.cron,
            "about": j.about,
        }
        for j in schedule.jobs
    ]
    tables.table(
        rows, name="schedule", alt="Scheduled jobs by next time", empty="Cloud Scheduler has no job.", height_rows=9
    )


alerts = widgets.known(reads.alerts(cloud), "The alerts")
if alerts is not None:
    widgets.verdict(*headline(alerts), ["of every night"])
    seen = widgets.known(reads.last_look(cloud), "Whether the watchdog looks")
    looked = f"The watchdog looked {words.age(seen, now)}" if seen else "The watchdog has not looked for 10 minutes"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"{widgets.badge(Health.OK if seen else Health.UNKNOWN)} {words.plain(looked)}", width="stretch")
        actions.offer(TEST)
    for alert in sorted(alerts.open, key=lambda a: (a.state(now) is not AlertState.OPEN, SEVERITY.index(a.severity))):
        alert_cards.one(alert, now)
    ended(alerts)
    night, (start, end) = session.game_date(), under_way.log_window(now)
    batches, widths = reads.batches(cloud, night), reads.widths(cloud)
    night_chart.panel(night, batches, reads.writes(cloud, *night_window(night)), widths)
    st.subheader(f"What happened in {under_way.LOOK_BACK.days} days", anchor=False)
    moments = timeline(alerts, under_way.read_log().value, batches.value, widths.value, start, end)
    chosen = filters.pills("Kind", kinds(moments), "alert_kind")
    tables.table(
        [vars(m) for m in moments if not chosen or m.kind in chosen],
        name="timeline",
        alt="What happened, newest first",
        empty="Nothing happened.",
    )
    widgets.footer((alerts.source,), now, session.log("Errors of the prediction services"))
if (schedule := widgets.known(reads.schedule(cloud), "The schedule")) is not None:
    with st.expander(f"When the next runs are · {len(schedule.jobs)} jobs, {len(schedule.troubles)} in trouble"):
        next_runs(schedule)
with st.expander(f"The {len(RULES)} rules"):
    tables.listing(
        [
            {"rule": r.title, "speaks at": r.threshold_in(cloud.settings), "source": r.source, "helps": r.remedy}
            for r in RULES
        ],
        alt="Rules",
        empty="",
    )
