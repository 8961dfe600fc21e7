"""Every page for who cannot see the picture, who opens a link, who reads slowly, and for a night in which nothing happened."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from app.charts import night_timeline as night_chart
from app.state import reads
from services.core.result import Health
from services.reports.night_events import ALERTS, LANES, REJECTED, Mark, NightLine
from services.staging.inventory import BatchTotal, Inventory, StagingTable, TableClass
from tests.factories import NIGHT
from tests.pages.desk import INCIDENT, NO_GAMES

EVERY_PAGE = sorted(page.stem for page in (Path(__file__).parents[2] / "pages").glob("*.py"))
AT = datetime(2025, 12, 29, 19, 47, 29, tzinfo=UTC)
EVIL = Mark(ALERTS, AT, "writes opened", '<b>all is well</b> " onfocus="alert() opened', Health.CRITICAL)
REJECTIONS = Mark(REJECTED, AT, "61", "61 of 87 writes rejected", Health.CRITICAL, AT + timedelta(minutes=1), 61)


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_every_picture_and_table_has_words_in_its_place(open_page, page):
    screen = open_page(page)
    for kind in ("plotly_chart", "arrow_data_frame", "dataframe", "table"):
        for each in screen.app.get(kind):
            assert each.proto.alt, f"{kind} on {page}"
    for picture in screen.pictures:
        assert re.search(r'aria-label="[^"]+"', picture), f"a picture on {page}"


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
def test_a_link_opens_a_page_as_it_was_filtered_and_nonsense_falls_back(open_page, page, address, left):
    screen = open_page(page, **address)
    assert len(screen.table()) == left


def test_choosing_a_filter_writes_it_into_the_address_and_taking_it_back_removes_it(open_page):
    screen = open_page("staging_tables")
    pills = screen.app.get_by_key("staging_kind")
    pills.set_value(["already merged"]).run()
    assert screen.app.query_params["staging_kind"] == "already merged"
    screen.app.get_by_key("staging_kind").set_value([]).run()
    assert "staging_kind" not in screen.app.query_params


def test_a_paused_page_says_since_when_and_nothing_on_it_beats(open_page):
    screen = open_page("runs")
    screen.app.toggle(key="paused").set_value(True).run()
    assert re.search(r"paused since \d\d:\d\d ET \(\d\d:\d\d UTC\)", screen.words)
    drawn = screen.app.session_state["runs"]
    screen.app.run()
    assert screen.app.session_state["runs"] == drawn, "no pulse was set going"
    screen.app.toggle(key="paused").set_value(False).run()
    assert "paused since" not in screen.words


def test_every_figure_of_the_overview_leads_to_its_evidence(open_page):
    screen = open_page()
    ways = {link.value for link in screen.app.page_link if link.proto.query_string == f"date={INCIDENT}"}
    assert {metric.label for metric in screen.app.metric} <= ways


def test_a_night_in_which_nothing_happened_says_so_in_words(open_page):
    screen = open_page(date=NO_GAMES)
    assert "Nothing happened: no batch, rejected write, scale change, alert or action." in screen.words
    assert not [picture for picture in screen.pictures if 'class="night"' in picture]


def test_the_picture_of_the_night_tells_the_same_in_words(open_page):
    (picture,) = [each for each in open_page(date=INCIDENT).pictures if 'class="night"' in each]
    told = " ".join(re.findall(r'aria-label="([^"]*)"', picture))
    for words in (
        "61 of 87 writes rejected in this minute",
        "158 players asked",
        "prediction-worker-00011-zw5",
        "14:47",
    ):
        assert words in told
    assert all(f"{lane.capitalize()}:" in told for lane in LANES)


def test_the_funnel_tells_the_same_in_words_and_never_none(open_page):
    told = " ".join(re.findall(r'aria-label="([^"]*)"', "".join(open_page(date=INCIDENT).pictures)))
    assert "staged unknown; written 68, 90 lost here; active 68." in told
    assert "None" not in told


def test_a_mark_tells_new_york_and_utc_and_a_sentence_stays_text():
    drawn = night_chart.picture(NightLine(NIGHT, (REJECTIONS, EVIL)))
    (tip,) = re.findall(r'<span class="tip to-\w+">(.*?)</span></span>', drawn.split("cross point")[-1])[-1:]
    assert "14:47:29 ET (19:47:29 UTC)" in tip
    assert "<b>all is well" not in drawn
    assert 'onfocus="' not in drawn


def test_a_mark_can_be_reached_by_keyboard_and_says_its_state_and_its_words():
    drawn = night_chart.picture(NightLine(NIGHT, (REJECTIONS,)))
    assert re.search(r'tabindex="0" role="img" aria-label="critical: 14:47:29 ET [^"]*61 of 87 writes rejected"', drawn)


def test_a_lane_that_could_not_be_read_says_unknown_in_the_picture_and_in_the_words():
    drawn = night_chart.picture(NightLine(NIGHT, (REJECTIONS,), {ALERTS: "The warehouse is down"}))
    assert drawn.count(">unknown<") == 1
    assert "Alerts are unknown: The warehouse is down. Actions: none." in drawn


def test_words_beside_a_mark_take_no_room_of_the_mark_before():
    at = [AT + timedelta(minutes=minutes) for minutes in (0, 7, 8, 20)]
    marks = tuple(Mark(ALERTS, when, f"words of {n}", "told", Health.WARNING) for n, when in enumerate(at))
    drawn = night_chart.picture(NightLine(NIGHT, marks))
    spans = [
        (float(x) if side == "left" else 100 - float(x) - float(room), float(room))
        for side, x, room in re.findall(
            r'class="said \w+" style="(left|right):([\d.]+)%;max-width:([\d.]+)%">words', drawn
        )
    ]
    assert spans
    for (left, room), (following, _) in pairwise(sorted(spans)):
        assert left + room <= following + 0.1


def test_many_minutes_of_rejections_stay_few_marks_and_none_is_forgotten():
    minutes = [
        Mark(REJECTED, AT + timedelta(minutes=n), "2", "2 of 3", Health.CRITICAL, AT + timedelta(minutes=n + 1), 2)
        for n in range(700)
    ]
    drawn = night_chart.picture(NightLine(NIGHT, tuple(minutes)))
    assert drawn.count('tabindex="0"') < 150
    sums = [
        int(each.replace(",", ""))
        for each in re.findall(r'aria-label="[^"]*: ([\d,]+) writes rejected, at most', drawn)
    ]
    assert sum(sums) == 1400


def test_every_lane_leads_to_a_page():
    assert set(night_chart.EVIDENCE) == set(LANES)
    assert set(night_chart.EVIDENCE.values()) <= set(EVERY_PAGE)


def test_of_many_batches_with_rows_of_their_own_the_fullest_are_offered_and_the_rest_can_be_chosen(
    open_page, monkeypatch
):
    now = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
    holding = [(f"batch_2025-12-{day:02}_1", day, day) for day in range(20, 26)]
    unproven = ("batch_2025-12-19_1", 24, None)  # at worst, all of its rows are nowhere else
    batches = tuple(
        BatchTotal(name, date(2025, 12, 20), 1, rows, 1, now - timedelta(days=2), lost, TableClass.ORPHAN)
        for name, rows, lost in (unproven, *holding)
    )
    everything = Inventory((), batches, Health.WARNING, ())
    one = StagingTable("d._staging_x", "x", "w", None, 25, 1, now, None, 25, TableClass.ORPHAN)
    monkeypatch.setattr(reads.staging, "read", lambda _: replace(everything, tables=(one,)))
    app = open_page("staging_tables").app
    offered = [button for button in app.button if button.label.startswith("Consolidate")]
    assert [button.label.removeprefix("Consolidate batch_2025-12-") for button in offered] == ["25_1", "19_1", "24_1"]
    other = app.selectbox(key="batch to consolidate")
    assert (other.label, len(other.options)) == ("4 more batches to consolidate", 4)
    other.set_value(holding[0][0]).run()
    app.button(key="offer staging.consolidate one").click().run()
    plan = next(each.value for each in app.markdown if each.value.startswith("#### "))
    assert holding[0][0] in plan.replace("\\", "")  # there is no such batch, and it says which was meant
