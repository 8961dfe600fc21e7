"""Missing players: who is not there, at which stage each was lost, on what evidence, and what repairs it."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from app.components import filters, tables, widgets
from app.components import text_format as words
from app.panels import repair_buttons as repairs
from app.state import reads, session
from services.nights.coverage import funnel
from services.nights.missing_players import Missing, Why, account, missing
from services.nights.player_stages import Night

cloud, game_date = session.cloud(), session.game_date()


def as_row(lost: Missing) -> dict[str, str | None]:
    player = lost.player
    return {
        "player": player.player_name or player.player_lookup,
        "team": player.team,
        "against": player.opponent,
        "lost at": lost.lost_at.value,
        "why": lost.why.value,
        "evidence": lost.evidence,
        "repair": lost.repair,
        "player_lookup": player.player_lookup,
        "batch": player.batch_id,
    }


def matches(lost: Missing, sought: list[str]) -> bool:
    """Every word of the search stands somewhere in the row."""
    text = " ".join(str(value) for value in as_row(lost).values()).lower()
    return all(word in text for word in sought)


def headline(night: Night, lost: list[Missing]) -> str:
    """Who is missing of those expected, and who never came into question though the books offer a line."""
    facts = account(night)
    if not facts.expected and not lost:
        return "Nobody is expected" if night.games else "No games, so nobody is expected"
    gone = facts.expected - facts.active
    if gone and dict(facts.classified).get(Why.NOT_RUN_YET) == gone:
        return f"Not run yet: {facts.expected:,} players are expected"
    beyond = f"; {len(lost) - gone:,} more have odds but are not in context" if len(lost) > gone else ""
    return f"{gone:,} of {facts.expected:,} expected players are missing{beyond}"


def the_sum(night: Night) -> None:
    """The account that must balance, as a line one can check by hand."""
    facts = account(night)
    terms = [f"{facts.active:,} active", *(f"{count:,} {why}" for why, count in facts.classified)]
    st.markdown(
        f"**{facts.expected:,} expected = {' + '.join(words.plain(term) for term in terms)}"
        f" + {facts.unexplained:,} unexplained**"
    )
    if not facts.balanced:
        st.error("This sum does not balance: the classification is wrong. Report it.", icon=":material/error:")


def filtered(lost: list[Missing]) -> list[Missing]:
    """The rows that the reason pills and the search leave."""
    counts = Counter(each.why.value for each in lost)
    why, sought = filters.bar("Why", counts, "Player, team, evidence…", "missing")
    return [each for each in lost if (not why or each.why.value in why) and matches(each, sought)]


def show(night: Night) -> None:
    everyone = missing(night)
    lost = [each for each in everyone if not each.expected]
    left_out = [each for each in everyone if each.expected]
    widgets.verdict(funnel(night, cloud.settings).health, headline(night, lost))
    widgets.gaps(night.problems)
    if not everyone and not night.games:
        return
    the_sum(night)
    shown = filtered(lost)
    repairs.of_night(night, None if len(shown) == len(lost) else shown)
    tables.table(
        [as_row(each) for each in shown],
        name=f"missing-{game_date}",
        alt="Missing players",
        height_rows=20,
        empty="Nobody is missing." if not lost else "No missing player matches.",
    )
    with st.expander(f"Left out on purpose: {len(left_out):,} (minutes, status or not production-ready)"):
        tables.table(
            [as_row(each) for each in left_out],
            name=f"left-out-{game_date}",
            alt="Players left out on purpose",
            empty="Nobody was left out on purpose.",
        )
    widgets.footer(night.sources, cloud.now(), session.log("Lost players"))


night = widgets.known(reads.night(cloud, game_date), "The night's players")
if night is not None:
    show(night)
