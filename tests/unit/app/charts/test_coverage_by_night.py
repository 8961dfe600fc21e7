"""The coverage chart where a night has no classification."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

from app.charts import coverage_by_night
from app.state import session
from services.core.result import Health
from services.nights.coverage import NightCoverage
from services.reports.dated_changes import DatedChanges
from services.reports.event import Event
from tests.support.factories import NIGHT, NOW

UNCHANGED = DatedChanges({}, ())


def make_coverage(health: Health, active: int = 68, eligible: int = 158, games: int = 11) -> NightCoverage:
    return NightCoverage(date(2025, 12, 29), games, 176, 352, eligible, active, active * 25, (), health)


def test_a_night_without_classification_has_no_percentage():
    assert coverage_by_night.coverage_pct(make_coverage(Health.UNKNOWN, active=0), "eligible") is None
    assert (
        coverage_by_night.coverage_pct(make_coverage(Health.NONE_EXPECTED, active=0, eligible=0, games=0), "eligible")
        is None
    )
    assert f"{coverage_by_night.coverage_pct(make_coverage(Health.CRITICAL), 'eligible'):.1f}" == "43.0"


def test_a_night_without_classification_has_no_bar_and_a_reason(monkeypatch):
    no_games = make_coverage(Health.NONE_EXPECTED, active=0, eligible=0, games=0)
    monkeypatch.setattr(session, "link_params", lambda: {"date": "2025-12-28"})
    monkeypatch.setattr(session, "game_date", lambda: date(2025, 12, 29))
    chart_html = coverage_by_night.to_html(
        [
            make_coverage(Health.CRITICAL),
            replace(make_coverage(Health.UNKNOWN, active=0), pending="not run yet"),
            no_games,
        ],
        "eligible",
        "eligible",
        [("low", 85)],
        UNCHANGED,
    )
    assert chart_html.count("<i style") == 1
    assert ">not run yet<" in chart_html
    assert ">no games<" in chart_html
    titles = re.findall(r'aria-label="(Mon[^"]*)"', chart_html)
    assert titles == [
        "Mon 29 Dec 2025 critical: 43.0%, 68 of 158",
        "Mon 29 Dec 2025: not run yet",
        "Mon 29 Dec 2025: no games",
    ]
    assert "low 85%" in chart_html


def test_a_bar_leads_to_its_date_which_has_its_month_and_an_axis_with_numbers(monkeypatch):
    monkeypatch.setattr(session, "link_params", lambda: {"date": "2025-12-28"})
    monkeypatch.setattr(session, "game_date", lambda: date(2025, 12, 29))
    chart_html = coverage_by_night.to_html([make_coverage(Health.CRITICAL)], "eligible", "eligible", (), UNCHANGED)
    assert '<a href="/coverage?date=2025-12-29"' in chart_html
    assert 'aria-current="date"' in chart_html
    assert "<b>29<small>Dec</small></b>" in chart_html
    assert re.findall(r"<span>(\d+%)</span>", chart_html) == ["0%", "50%", "100%"]


def test_deploys_and_actions_are_marked_below_their_date_and_what_is_not_known_is_said(monkeypatch):
    monkeypatch.setattr(session, "link_params", dict)
    monkeypatch.setattr(session, "game_date", lambda: NIGHT)
    events = (
        Event(at=NOW, actor="nora", kind="deploy", summary="Revision <r2> deployed (4 × 3)"),
        Event(at=NOW, kind="action", summary="Re-run 90 players: done"),
        Event(at=NOW, actor="nora", kind="config change", summary="Restore normal capacity: done"),
    )
    changes = DatedChanges(
        {NIGHT: events}, ("deploys unknown: Cloud Run did not answer.", "actions before 24 Dec not read")
    )
    days = [make_coverage(Health.CRITICAL), replace(make_coverage(Health.OK), game_date=date(2025, 12, 30))]
    chart_html = coverage_by_night.to_html(days, "eligible", "eligible", (), changes)
    assert 'aria-label="Mon 29 Dec 2025 critical: 43.0%, 68 of 158; 1 deploy, 2 actions"' in chart_html
    assert "01:45 ET Revision &lt;r2&gt; deployed (4 × 3), by nora" in chart_html
    assert re.findall(r'<small class="marks" aria-hidden="true">(.*?)</small>', chart_html) == [
        '<s><i class="ms " aria-hidden="true">change_history</i></s><s><i class="ms " aria-hidden="true">bolt</i>2</s>',
        "",
    ]
    assert "Deploys unknown: Cloud Run did not answer." in chart_html
    assert "Actions before 24 Dec not read" in chart_html
