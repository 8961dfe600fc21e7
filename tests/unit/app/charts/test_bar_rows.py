"""Bars as HTML where a value is unknown or unlimited."""

from __future__ import annotations

from app.charts import bar_rows
from services.core.result import Health
from services.nights.coverage import Funnel
from services.nights.player_stages import STAGES, Stage
from services.scaling.annotations import CapacitySetting
from services.scaling.capacity import CapacityState, ServiceCapacities, ServiceCapacity
from tests.support.factories import NIGHT


def make_funnel(**notes: str) -> Funnel:
    counts: dict[Stage, int | None] = {**dict.fromkeys(STAGES, 158), Stage.STAGED: None}
    return Funnel(NIGHT, counts, {Stage(stage): text for stage, text in notes.items()})


def test_a_night_that_wrote_directly_says_so_instead_of_unknown():
    unstaged = make_funnel(staged="direct MERGE: not used")
    chart_html = bar_rows.funnel_html(unstaged, ())
    assert "<b>direct MERGE: not used</b>" in chart_html
    assert "unknown" not in chart_html
    assert "staged direct MERGE: not used; written 158" in bar_rows.funnel_alt_text(unstaged, ())


def test_a_night_that_wrote_both_ways_shows_the_count_and_the_rest():
    both = make_funnel(staged="68 written directly")
    both.players[Stage.STAGED] = 90
    assert "<b>90</b> (68 written directly)" in bar_rows.funnel_html(both, ())
    assert "staged 90 (68 written directly); written 158" in bar_rows.funnel_alt_text(both, ())


def test_an_unreadable_stage_is_unknown_and_has_no_bar():
    chart_html = bar_rows.funnel_html(make_funnel(), ())
    assert chart_html.count('title="') == len(STAGES) - 1
    assert 'title="staged' not in chart_html
    assert chart_html.count("<b>unknown</b>") == 1


def test_an_unlimited_capacity_is_stated_and_has_no_bar():
    unlimited = ServiceCapacity(
        "worker", CapacitySetting(None, None, 3), "r", None, "", "", CapacityState.DRIFTED, Health.CRITICAL, True
    )
    chart_html = bar_rows.capacities_html(ServiceCapacities((unlimited,), ()))
    assert "<b>unbounded</b>" in chart_html
    assert 'title="' not in chart_html
    assert "DML limit 22" in chart_html
