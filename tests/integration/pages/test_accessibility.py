"""Text alternatives of charts and tables, the pause switch, links of metrics, and a night without events."""

from __future__ import annotations

import re

import pytest

from services.reports.event import LANES
from tests.integration.pages.helpers import INCIDENT, NO_GAMES, to_text
from tests.support.paths import ROOT

EVERY_PAGE = sorted(page.stem for page in (ROOT / "pages").glob("*.py"))


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_every_chart_and_table_has_a_text_alternative(open_page, page):
    screen = open_page(page)
    for kind in ("plotly_chart", "arrow_data_frame", "dataframe", "table"):
        for element in screen.app.get(kind):
            assert element.proto.alt, f"{kind} on {page}"
    for html_body in screen.html_bodies:
        if html_body.startswith(("<style>", "<dl ")) or ' aria-hidden="true">' in html_body:
            continue  # nothing to see, text that is read as it stands, and what another element says already
        assert re.search(r'aria-label="[^"]+"', html_body), f"a picture on {page}"


def test_a_paused_page_shows_since_when_and_does_not_refresh(open_page):
    screen = open_page("runs")
    screen.app.toggle(key="paused").set_value(True).run()
    assert re.search(r"Auto-refresh paused since \d\d:\d\d ET \(\d\d:\d\d UTC\)", screen.text)
    run_count = screen.app.session_state["run count"]
    screen.app.run()
    assert screen.app.session_state["run count"] == run_count, "no automatic refresh was started"
    screen.app.toggle(key="paused").set_value(False).run()
    assert "paused since" not in screen.text


def test_every_metric_of_the_overview_links_to_its_page(open_page):
    screen = open_page()
    (tiles,) = [html_body for html_body in screen.html_bodies if 'class="tiles"' in html_body]
    assert len(re.findall(rf'<div class="l"><a href="/\w+\?date={INCIDENT}">', tiles)) == tiles.count("<li") == 5


def test_a_night_without_events_says_so(open_page):
    screen = open_page(date=NO_GAMES)
    assert "No activity on this game date." in screen.text
    assert not [picture for picture in screen.html_bodies if 'class="night"' in picture]


def test_the_timeline_has_an_equivalent_text_alternative(open_page):
    (picture,) = [html_body for html_body in open_page(date=INCIDENT).html_bodies if 'class="night"' in html_body]
    labels = " ".join(re.findall(r'aria-label="([^"]*)"', picture))
    for expected in (
        "61 of 87 writes rejected in this minute",
        "158 requested, started by: unknown",
        "prediction-worker-00011-zw5",
        "14:47",
    ):
        assert expected in labels
    assert all(f"{lane}:" in labels for lane in LANES)


def test_the_funnel_reads_as_text_without_none(open_page):
    (funnel,) = [to_text(body) for body in open_page(date=INCIDENT).html_bodies if "Players per stage" in body]
    assert "Staged – Not used: direct writes Written 68 −90 rejected" in funnel
    assert "None" not in funnel
