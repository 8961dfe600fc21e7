"""Every page for who cannot see the picture, who opens a link, who reads slowly, and for a night in which nothing happened."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from app.charts import night_timeline
from app.state import reads
from services.core.result import Health
from services.reports.night_events import ALERTS, LANES, REJECTED, NightEvent, NightEvents
from services.staging.inventory import BatchTotal, StagingInventory, StagingTable, StagingTableState
from tests.factories import NIGHT
from tests.pages.desk import INCIDENT, NO_GAMES

EVERY_PAGE = sorted(page.stem for page in (Path(__file__).parents[2] / "pages").glob("*.py"))
AT = datetime(2025, 12, 29, 19, 47, 29, tzinfo=UTC)
MALICIOUS_MARK = NightEvent(
    ALERTS, AT, "writes opened", '<b>all is well</b> " onfocus="alert() opened', Health.CRITICAL
)
REJECTIONS_MARK = NightEvent(
    REJECTED, AT, "61", "61 of 87 writes rejected", Health.CRITICAL, AT + timedelta(minutes=1), 61
)


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_every_chart_and_table_has_a_text_alternative(open_page, page):
    screen = open_page(page)
    for kind in ("plotly_chart", "arrow_data_frame", "dataframe", "table"):
        for element in screen.app.get(kind):
            assert element.proto.alt, f"{kind} on {page}"
    for html_body in screen.html_bodies:
        assert re.search(r'aria-label="[^"]+"', html_body), f"a picture on {page}"


@pytest.mark.parametrize(
    ("page", "address", "left"),
    [
        ("missing_players", {"missing_find": "herb"}, 1),
        ("missing_players", {"missing_kind": "generated but rejected on write"}, 90),
        ("missing_players", {"missing_kind": "nonsense"}, 105),
        ("staging_tables", {"staging_kind": "already merged"}, 6),
        ("dml_errors", {"dml_rejected": "false"}, 158),
        ("dml_errors", {"dml_rejected": "perhaps"}, 90),
        ("logs", {"search": "Lost players"}, 90),
    ],
)
def test_a_filter_link_opens_filtered_and_invalid_values_are_ignored(open_page, page, address, left):
    screen = open_page(page, **address)
    assert len(screen.table()) == left


def test_selecting_a_filter_sets_the_query_parameter_and_clearing_it_removes_it(open_page):
    screen = open_page("staging_tables")
    pills = screen.app.get_by_key("staging_kind")
    pills.set_value(["already merged"]).run()
    assert screen.app.query_params["staging_kind"] == "already merged"
    screen.app.get_by_key("staging_kind").set_value([]).run()
    assert "staging_kind" not in screen.app.query_params


def test_a_paused_page_shows_since_when_and_does_not_refresh(open_page):
    screen = open_page("runs")
    screen.app.toggle(key="paused").set_value(True).run()
    assert re.search(r"paused since \d\d:\d\d ET \(\d\d:\d\d UTC\)", screen.text)
    render_state = screen.app.session_state["runs"]
    screen.app.run()
    assert screen.app.session_state["runs"] == render_state, "no pulse was set going"
    screen.app.toggle(key="paused").set_value(False).run()
    assert "paused since" not in screen.text


def test_every_metric_of_the_overview_links_to_its_page(open_page):
    screen = open_page()
    link_labels = {link.value for link in screen.app.page_link if link.proto.query_string == f"date={INCIDENT}"}
    assert {metric.label for metric in screen.app.metric} <= link_labels


def test_a_night_without_events_says_so(open_page):
    screen = open_page(date=NO_GAMES)
    assert "Nothing happened: no batch, rejected write, scale change, alert or action." in screen.text
    assert not [picture for picture in screen.html_bodies if 'class="night"' in picture]


def test_the_timeline_has_an_equivalent_text_alternative(open_page):
    (picture,) = [html_body for html_body in open_page(date=INCIDENT).html_bodies if 'class="night"' in html_body]
    labels = " ".join(re.findall(r'aria-label="([^"]*)"', picture))
    for expected in (
        "61 of 87 writes rejected in this minute",
        "158 players asked",
        "prediction-worker-00011-zw5",
        "14:47",
    ):
        assert expected in labels
    assert all(f"{lane.capitalize()}:" in labels for lane in LANES)


def test_the_funnel_has_an_equivalent_text_alternative_without_none(open_page):
    labels = " ".join(re.findall(r'aria-label="([^"]*)"', "".join(open_page(date=INCIDENT).html_bodies)))
    assert "staged unknown; written 68, 90 lost here; active 68." in labels
    assert "None" not in labels


def test_a_mark_shows_eastern_time_and_utc_and_escapes_its_message():
    chart_html = night_timeline.to_html(NightEvents(NIGHT, (REJECTIONS_MARK, MALICIOUS_MARK)))
    (tip,) = re.findall(r'<span class="tip to-\w+">(.*?)</span></span>', chart_html.split("cross point")[-1])[-1:]
    assert "14:47:29 ET (19:47:29 UTC)" in tip
    assert "<b>all is well" not in chart_html
    assert 'onfocus="' not in chart_html


def test_a_mark_is_focusable_and_labelled_with_its_state_and_message():
    chart_html = night_timeline.to_html(NightEvents(NIGHT, (REJECTIONS_MARK,)))
    assert re.search(
        r'tabindex="0" role="img" aria-label="critical: 14:47:29 ET [^"]*61 of 87 writes rejected"', chart_html
    )


def test_an_unreadable_lane_is_unknown_in_the_chart_and_in_its_text_alternative():
    chart_html = night_timeline.to_html(NightEvents(NIGHT, (REJECTIONS_MARK,), {ALERTS: "The warehouse is down"}))
    assert chart_html.count(">unknown<") == 1
    assert "Alerts are unknown: The warehouse is down. Actions: none." in chart_html


def test_labels_beside_marks_do_not_overlap():
    times = [AT + timedelta(minutes=minutes) for minutes in (0, 7, 8, 20)]
    marks = tuple(
        NightEvent(ALERTS, at_time, f"words of {n}", "told", Health.WARNING) for n, at_time in enumerate(times)
    )
    chart_html = night_timeline.to_html(NightEvents(NIGHT, marks))
    spans = [
        (float(x) if side == "left" else 100 - float(x) - float(width_pct), float(width_pct))
        for side, x, width_pct in re.findall(
            r'class="said \w+" style="(left|right):([\d.]+)%;max-width:([\d.]+)%">words', chart_html
        )
    ]
    assert spans
    for (start_pct, width_pct), (following, _) in pairwise(sorted(spans)):
        assert start_pct + width_pct <= following + 0.1


def test_many_minutes_of_rejections_are_merged_into_few_marks_without_loss():
    minutes = [
        NightEvent(
            REJECTED, AT + timedelta(minutes=n), "2", "2 of 3", Health.CRITICAL, AT + timedelta(minutes=n + 1), 2
        )
        for n in range(700)
    ]
    chart_html = night_timeline.to_html(NightEvents(NIGHT, tuple(minutes)))
    assert chart_html.count('tabindex="0"') < 150
    rejected_counts = [
        int(count_text.replace(",", ""))
        for count_text in re.findall(r'aria-label="[^"]*: ([\d,]+) writes rejected, at most', chart_html)
    ]
    assert sum(rejected_counts) == 1400


def test_every_lane_links_to_a_page():
    assert set(night_timeline.PAGE_OF_LANE) == set(LANES)
    assert set(night_timeline.PAGE_OF_LANE.values()) <= set(EVERY_PAGE)


def test_of_many_unmerged_batches_the_largest_have_buttons_and_the_rest_can_be_selected(open_page, monkeypatch):
    now = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
    with_unmerged_rows = [(f"batch_2025-12-{day:02}_1", day, day) for day in range(20, 26)]
    unproven = ("batch_2025-12-19_1", 24, None)  # at worst, all of its rows are nowhere else
    batches = tuple(
        BatchTotal(name, date(2025, 12, 20), 1, rows, 1, now - timedelta(days=2), lost, StagingTableState.ORPHAN)
        for name, rows, lost in (unproven, *with_unmerged_rows)
    )
    inventory = StagingInventory((), batches, Health.WARNING, ())
    table_state = StagingTable("d._staging_x", "x", "w", None, 25, 1, now, None, 25, StagingTableState.ORPHAN)
    monkeypatch.setattr(reads.staging, "read", lambda _: replace(inventory, tables=(table_state,)))
    app = open_page("staging_tables").app
    buttons = [button for button in app.button if button.label.startswith("Consolidate")]
    assert [button.label.removeprefix("Consolidate batch_2025-12-") for button in buttons] == ["25_1", "19_1", "24_1"]
    selectbox = app.selectbox(key="batch to consolidate")
    assert (selectbox.label, len(selectbox.options)) == ("4 more batches to consolidate", 4)
    selectbox.set_value(with_unmerged_rows[0][0]).run()
    app.button(key="offer staging.consolidate one").click().run()
    plan = next(element.value for element in app.markdown if element.value.startswith("#### "))
    assert with_unmerged_rows[0][0] in plan.replace("\\", "")  # there is no such batch, and it says which was meant
