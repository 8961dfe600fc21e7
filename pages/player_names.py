"""Player names: odds-feed names that match no player, the aliases that fix them, and duplicate players."""

from __future__ import annotations

from datetime import date, timedelta

import streamlit as st

from app.actions import action_feed
from app.components import tables, widgets
from app.components.facts import fact_list
from app.panels import alias_panels, name_rows, paste_aliases, undo_buttons
from app.state import reads, session
from services.aliases.unresolved import NameGroup, NameResolutionReport
from services.core.result import Health, list_outdated
from services.core.text import pluralize

SPANS = {"This date": 1, "7 days": 7, "14 days": 14}
CUSTOM_SPAN = "Custom…"
MAX_DAYS = 190  # a season's half: beyond it the odds of a day cost more than they are worth
TABS = ("Unmatched names", "Aliases", "Duplicate players")

cloud, game_date = session.cached_clients(), session.game_date()


def headline(names: NameResolutionReport) -> tuple[Health, str]:
    """The verdict on the odds names, in one line."""
    if not names.unresolved:
        return Health.OK, "All odds-feed names match a player"
    costs = any(name.nights_lost for name in names.unresolved)
    return Health.WARNING if costs else Health.OK, pluralize(len(names.unresolved), "unmatched odds name")


def facts(names: NameResolutionReport, days: int) -> dict[str, str]:
    """How the odds names match, and what those that do not match cost, by what has to be done about them."""
    counts = names.resolution_counts.total
    unit = "" if days == 1 else ", all dates"
    return {f"Odds names{unit}": f"{counts.name_count:,}", f"Exact match{unit}": f"{counts.exact:,}"} | {
        str(group).capitalize(): f"{len(members)} · at most {sum(n.max_predictions_lost for n in members):,} rows"
        for group in NameGroup
        for members in (names.in_group(group),)
    }


def choose_date_range() -> tuple[date, date] | None:
    """The first and the last date shown; None while only one of them is chosen."""
    chosen = widgets.segmented_choice("Dates", [*SPANS, CUSTOM_SPAN], "alias_span")
    if chosen != CUSTOM_SPAN:
        return game_date - timedelta(days=SPANS[chosen] - 1), game_date
    picked = st.date_input("Date range", (game_date - timedelta(days=20), game_date), key="alias dates", width=280)
    dates = tuple(picked) if isinstance(picked, tuple) else (picked,)
    if len(dates) < 2:
        st.caption("Select an end date.")
    elif (dates[1] - dates[0]).days >= MAX_DAYS:
        st.warning(f"The longest range is {MAX_DAYS} days.", icon=":material/warning:")
    else:
        return dates[0], dates[1]
    return None


def unmatched_tab(names: NameResolutionReport) -> None:
    with st.container(key="name-columns"):
        rows_column, paste_column = st.columns([2.5, 1], gap="small")
    with paste_column:
        changes = paste_aliases.paste_box(names.registry, name_rows.accepted_edits(names))
        with st.container(border=True, gap="small"):
            st.markdown("### After saving")
            st.markdown(
                "Saving changes no prediction by itself: the next run takes these players' lines from the odds feed."
                f" For {game_date:%-d %b}, re-run all players on [Runs]({widgets.page_href('runs')})."
            )
    with rows_column:
        name_rows.suggestion_rows(names)
        name_rows.other_groups(names)
        alias_panels.rejected_matches(names.registry)
        with st.expander("Which processors apply aliases"):
            alias_panels.processor_table(names)
    with review_slot:
        alias_panels.review_button(changes)


def aliases_tab(names: NameResolutionReport) -> None:
    alias_panels.validation_table(names.registry)
    alias_panels.edit_alias_form(names.registry)
    rows = alias_panels.alias_rows(names.registry)
    tables.data_grid(rows, name="aliases", alt="Every alias", empty="No aliases.", height_rows=12)


def render(names: NameResolutionReport, first: date, last: date) -> None:
    dates_text = f"{last:%-d %b %Y}" if first == last else f"{first:%-d %b} to {last:%-d %b %Y}"
    missed = sum(bool(name.nights_lost) for name in names.unresolved)
    missed_text = f"{pluralize(missed, 'player')} with odds may have been missed" if missed else ""
    with verdict_slot:
        widgets.verdict(*headline(names), [missed_text, dates_text], list_outdated((reading,)))
    with facts_slot:
        fact_list(facts(names, (last - first).days + 1))
    undo_buttons.undo_lines(action_feed.fetch_log().value, alias_panels.NAME_ACTIONS)
    if tab == "Duplicate players":
        alias_panels.duplicate_identities(names.registry)
        alias_panels.rejected_matches(names.registry)
    elif tab == "Aliases":
        aliases_tab(names)
    else:
        unmatched_tab(names)
    widgets.source_footer(names.sources)


verdict_slot, review_slot = widgets.answer_row()
facts_slot = st.container()
with st.container(horizontal=True, horizontal_alignment="distribute", key="name-views"):
    tab = widgets.segmented_choice("Show", TABS, "alias_room")
    dates = choose_date_range()
if dates is not None:
    reading = reads.names(cloud, *dates)
    if reading.value is None:
        with verdict_slot:
            widgets.verdict(Health.UNKNOWN, "Unmatched names unavailable")
    names = widgets.value_or_notice(reading, "Name registry")
    if names is not None:
        render(names, *dates)
