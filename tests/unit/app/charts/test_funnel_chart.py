"""The funnel starts at the eligible players, says what each stage drops, and keeps its inputs apart."""

from __future__ import annotations

import re

from app.charts import funnel_chart
from app.state import session
from services.nights.coverage import Funnel, funnel
from services.nights.missing_players import list_missing_players
from services.nights.player_stages import STAGES, Stage
from tests.support.alert_factories import make_players, make_rejected_players
from tests.support.factories import NIGHT, make_night, player_without_rows

INCIDENT = make_night(
    *make_players(68),
    *make_rejected_players(90),
    player_without_rows(eligible=False, not_eligible_reason="OUT"),
    player_without_rows(in_context=False, eligible=None, player_lookup="herbjones"),
)


def make_funnel(**notes: str) -> Funnel:
    counts: dict[Stage, int | None] = {**dict.fromkeys(STAGES, 158), Stage.STAGED: None}
    return Funnel(NIGHT, counts, {Stage(stage): text for stage, text in notes.items()})


def show(monkeypatch) -> str:
    monkeypatch.setattr(session, "link_params", lambda: {"date": "2025-12-29"})
    missing = list_missing_players(INCIDENT)
    return funnel_chart.to_html(funnel(INCIDENT), missing) + funnel_chart.inputs_html(funnel(INCIDENT), missing)


def test_the_funnel_starts_at_eligible_and_never_widens(monkeypatch):
    rows = re.findall(r'class="n">(\w+)<.*?class="q">([\d,–]+)<', show(monkeypatch))
    assert rows[0] == ("Eligible", "158")
    counts = [int(count) for _, count in rows if count != "–"]
    assert counts == sorted(counts, reverse=True)
    assert {name for name, _ in rows}.isdisjoint({"In context", "With odds"})


def test_what_a_stage_drops_leads_to_exactly_these_players(monkeypatch):
    (href,) = re.findall(r'<a class="red" href="([^"]+)"><b>−90 rejected</b>', show(monkeypatch))
    assert href == "/missing_players?date=2025-12-29&amp;missing_kind=write+rejected"


def test_the_inputs_have_their_own_units_and_shares(monkeypatch):
    page = re.sub(r"<[^>]+>", " ", show(monkeypatch))
    assert "159 players · 42.8% active" in page
    assert "158 eligible · 1 ineligible" in page
    assert "1 unmatched" in page


def test_a_night_that_wrote_directly_says_so_instead_of_unknown():
    chart_html = funnel_chart.to_html(make_funnel(staged="not used: direct writes"), ())
    assert ">Not used: direct writes<" in chart_html
    assert "nknown" not in chart_html


def test_a_night_that_wrote_both_ways_shows_the_count_and_the_rest():
    both = make_funnel(staged="68 written directly")
    both.players[Stage.STAGED] = 90
    assert '<b class="q">90</b><span class="w"><span class="mute">68 written directly</span>' in funnel_chart.to_html(
        both, ()
    )


def test_an_unreadable_stage_is_unknown_and_has_no_bar():
    (row,) = re.findall(r'<li><span class="n">Staged.*?</li>', funnel_chart.to_html(make_funnel(), ()))
    assert "style=" not in row
    assert ">Unknown<" in row
