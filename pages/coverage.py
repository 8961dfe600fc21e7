"""Coverage: where were players lost, by date? One night's funnel, and the nights before it."""

from __future__ import annotations

from itertools import dropwhile

import streamlit as st

from app.charts import bar_rows as bars
from app.charts import coverage_by_night as nights
from app.components import tables, widgets
from app.components import text_format as words
from app.panels import repair_buttons as repairs
from app.state import reads, session
from services.core.clock import eastern_day
from services.core.result import Health
from services.nights.coverage import Funnel, History, funnel
from services.nights.missing_players import missing
from services.nights.player_stages import Night, Stage

DENOMINATORS = {"eligible": "eligible", "in context": "in_context", "with odds": "lined"}

COLUMNS = {label: tables.percent_column() for label in ("of eligible", "of in context", "of with odds")}
COLUMNS["state"] = st.column_config.TextColumn(width=104)

cloud, game_date = session.cloud(), session.game_date()
limits = cloud.settings
LIMITS = (("warning", limits.coverage_warning_pct), ("critical", limits.coverage_critical_pct))


def by_date(history: History) -> None:
    """One bar a night, coloured by its health word, and every figure of it in a table."""
    days = tuple(dropwhile(lambda day: not day.games, history.days))  # before the first game nothing is stored
    span = f" :gray[· {days[0].game_date:%-d %b} to {days[-1].game_date:%-d %b}]" if days else ""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.subheader(f"The last {words.many(len(days), 'night')}{span}", anchor=False, width="content")
        of = widgets.choice("Active players as a share of the players", list(DENOMINATORS), "coverage_share")
    nights.panel(days, DENOMINATORS[of], of, LIMITS if of == "eligible" else ())
    tables.table(
        [
            {
                "game date": day.game_date,
                "state": day.health.value,
                "games": day.games,
                "with odds": day.lined,
                "by alias": day.names and day.names.by_alias,
                "met nobody": day.names and day.names.unresolved,
                "in context": day.in_context,
                "eligible": day.eligible,
                "active": day.active,
                "of eligible": nights.share(day, "eligible"),
                "of in context": nights.share(day, "in_context"),
                "of with odds": nights.share(day, "lined"),
                "rows": day.rows_active,
                **dict(day.by_system),
            }
            for day in reversed(days)
        ],
        name="coverage",
        alt="Coverage by night",
        empty="No night is stored in this window.",
        **COLUMNS,
        height_rows=8,
    )
    widgets.footer(history.sources, cloud.now())


def headline(facts: Funnel) -> str:
    """The coverage of the night in words, by its main denominator."""
    active, eligible = facts.players[Stage.ACTIVE], facts.players[Stage.ELIGIBLE]
    if facts.health is Health.NONE_EXPECTED:
        return "No games, so no coverage is expected"
    if active is None or not eligible:
        return "Coverage is unknown"
    if facts.health is Health.UNKNOWN and not active:
        return f"Not run yet: {eligible:,} players are eligible"
    return f"{active:,} of {eligible:,} eligible players are active: {100 * active / eligible:.1f} %"


def one_night(night: Night) -> None:
    """The chosen night's answer, its funnel and its systems."""
    facts = funnel(night, limits)
    told, button = widgets.answer()
    with told:
        widgets.verdict(facts.health, headline(facts), [f"{night.games} games"] if night.games else [])
    with button:
        repairs.of_night(night)
    widgets.gaps(night.problems)
    if not night.players:
        return
    panels = st.grid(2, min_column_width=400, gap="medium")
    with panels.cell():
        st.subheader("Where players were lost", anchor=False)
        bars.show_funnel(facts.players, missing(night))
    with panels.cell():
        st.subheader("By system", anchor=False)
        tables.listing(
            [{"system": name, "players": players, "rows": rows} for name, players, rows in night.systems],
            alt="Active players and rows by system",
            empty="No system has an active row for this night.",
        )
    widgets.footer(night.sources, cloud.now(), session.log("Lost players"))


night = widgets.known(reads.night(cloud, game_date), "The night's players")
if night is not None:
    one_night(night)
history = widgets.known(reads.recent(cloud, eastern_day(cloud.now())), "The history")
if history is not None:
    by_date(history)
