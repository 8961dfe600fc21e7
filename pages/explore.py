"""Explore: how many rows, players, lines and duplicates are there, by date, system, player, batch or hour?"""

from __future__ import annotations

import streamlit as st

from app.charts import bar_rows, count_bars
from app.components import tables, text_format, widgets
from app.panels import explore_form
from app.state import reads, session
from services.core.clock import to_game_date
from services.core.text import pluralize
from services.explore.counts import Cost, Counts, Group
from services.explore.look import Look

AT_ONCE_BYTES = 50 * 2**20  # as much as the first read of a night; what reads more is counted on request
COUNTED_KEY = "counted look"
cloud = session.cached_clients()


def headline(counts: Counts) -> None:
    """What was counted; duplicates are said with it, and no row is no proof of anything else."""
    duplicates = counts.total("duplicate_rows") if "duplicate_rows" in counts.look.subject.measures else 0
    parts = [counts.headline, pluralize(duplicates, "duplicate") if duplicates else ""]
    icon = ":orange[:material/warning:]" if duplicates else ":blue[:material/query_stats:]"
    text = "; ".join(filter(None, parts)) if counts.groups else "No row is in this range"
    st.markdown(f"## {icon} {text_format.escape_keep_percent(text)}")


def confirm_cost(cost: Cost) -> bool:
    """Say what the look reads; whether it may be read now: at once where it is little, else on request."""
    if cost.refusal:
        st.error(text_format.escape_markdown(cost.refusal), icon=":material/error:")
        return False
    is_small = cost.billed_bytes <= AT_ONCE_BYTES
    asked = is_small or st.session_state.get(COUNTED_KEY) == cost.look
    with st.container(horizontal=True, vertical_alignment="center", key="explore-cost"):
        st.caption(
            f"Reads {cost.text} of {text_format.escape_markdown(cost.look.subject.table)}, of at most {cost.limit_text}."
        )
        explore_form.show_link(cost.look)
        if not asked:
            st.button("Count", type="primary", on_click=ask_for, args=(cost.look,))
    return asked


def ask_for(look: Look) -> None:
    """Count this look, whatever it costs. For callbacks."""
    st.session_state[COUNTED_KEY] = look


def target(group: Group) -> tables.Target:
    """The page about a group: of its player, else of its batch, else of its date."""
    values = {name: str(value) for name, value in group.values.items()}
    day = {session.DATE_PARAM: values["date"]} if "date" in values else session.link_params()
    if "player" in values:
        return tables.Target("player", {**day, "player": values["player"]})
    if "batch" in values:
        return tables.Target("runs", {**day, "batch": values["batch"]})
    return tables.Target("coverage", day)


def render(counts: Counts) -> None:
    """The counts as bars and as a table."""
    look = counts.look
    with answer_container:
        headline(counts)
    widgets.render_problems((counts.problem,) if counts.problem else ())
    if counts.groups:
        alt = f"{counts.headline}, by {', '.join(look.by)}"
        with st.container(key="explore-chart"):
            bar_rows.show_html(count_bars.to_html(counts), alt)
        tables.data_grid(
            counts.groups,
            name="counts",
            alt=alt,
            empty="",
            max_rows=1000,
            to_row=counts.to_row,
            opens=target,
        )
    st.caption(text_format.escape_markdown(" ".join(look.notes)))
    widgets.source_footer((counts.source,))


answer_container = st.container()
look = explore_form.choose_look(to_game_date(cloud.now()))
cost = widgets.value_or_notice(reads.explore_cost(cloud, look), "Cost") if look is not None else None
counts = None
if cost is not None and confirm_cost(cost):
    counts = widgets.value_or_notice(reads.explore(cloud, cost), "Counts")
if counts is not None:
    render(counts)
else:
    with answer_container:
        st.markdown("## :gray[:material/query_stats:] Nothing is counted yet")
