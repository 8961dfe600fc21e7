"""Every page, in a good night, on 29 December, on a day without games, and on a night not run yet."""

from __future__ import annotations

import re

import pytest

from app.frame.pages import ENTRIES
from services.reports import events
from tests.integration.pages.helpers import GOOD_NIGHT, INCIDENT, NO_GAMES, PAGES, to_text

NIGHTS = (INCIDENT, GOOD_NIGHT, NO_GAMES, "2025-12-30", "2025-12-21", "2025-12-25")
WITHOUT_DATE = {entry.name for entry in ENTRIES.values() if not entry.of_date}
PAGE_NIGHTS = [(page, night) for page in PAGES for night in (NIGHTS[:1] if page in WITHOUT_DATE else NIGHTS)]


@pytest.mark.parametrize(("page", "night"), PAGE_NIGHTS)
def test_every_page_opens_on_every_kind_of_night_and_names_its_sources(open_page, page, night):
    screen = open_page(page, night)
    assert screen.app.query_params["date"] == night
    assert "unavailable since" not in screen.text
    if night != NO_GAMES:
        assert re.search(r"· \d+ s ago", screen.text), "the age of its sources"
        assert "BigQuery cost of these reads: " in screen.text, "their cost"


def test_the_overview_shows_the_missing_players_their_stage_and_time(open_page):
    screen = open_page()
    assert ":red" in screen.verdict
    for phrase in ("90 of 158", "BigQuery rejected 90 of 158 writes: 22 DML statements outstanding", "14:47 ET"):
        assert phrase in screen.verdict
    assert screen.figure_of("Coverage") == ("43.0%", "68 of 158 · −49.1 pt vs 28 Dec")
    assert screen.figure_of("Rejected writes") == ("57.0%", "90 of 158 writes")
    assert screen.figure_of("Peak concurrent DML") == ("22 of 22", "At limit (2 running + 20 queued)")
    assert screen.figure_of("Unmerged staged rows") == ("225", "25 Dec · 9 of 15 tables")
    assert screen.figure_of("Worker capacity") == ("12 of 22", "Emergency limit 4 × 3")
    for phrase in (
        "352 players · 19.3% active",
        "176 names · 38.6% active",
        "−90 rejected",
        "3,950 rows",
        "1,700 rows",
    ):
        assert phrase in screen.text
    assert "Not used: direct writes" in " ".join(screen.html_bodies)
    (links,) = (body for body in screen.html_bodies if body.startswith("<nav"))
    for page, count in (("Missing players", 90), ("Staging tables", 9), ("Player names", 15)):
        assert re.search(rf'<span>{page}</span> <b class="[a-z]+">{count}</b>', links), links
    assert {"Players", "DML errors"} <= {name for name, badge in screen.health_badges().items() if "critical" in badge}


def test_the_overview_of_a_healthy_night_is_ok(open_page):
    screen = open_page(date=GOOD_NIGHT)
    assert ":green" in screen.verdict, screen.health_badges()
    assert screen.figure_of("Coverage")[0] == "100.0%"
    assert "ok" in screen.health_badges()["Players"]
    assert "ok" in screen.health_badges()["DML errors"]
    assert "Not used: direct writes" in " ".join(screen.html_bodies), "128 statements for 128 players"
    screen.app.switch_page("../pages/coverage.py").run()
    assert "Not used: direct writes" in " ".join(screen.html_bodies)


def test_a_day_without_games_is_ok_and_shows_no_percentage(open_page):
    screen = open_page(date=NO_GAMES)
    assert ":gray" in screen.verdict
    assert screen.figure_of("Coverage")[0] == "–"
    assert "none expected" in screen.health_badges()["Players"]
    screen.app.switch_page("../pages/dml_errors.py").run()
    assert screen.metric_of("Rejected") == ("0", "of 0 attempted")
    assert screen.metric_of("Rejection rate") == ("no writes", "matches the logs")


def test_a_night_that_has_not_run_is_neither_ok_nor_critical(open_page):
    screen = open_page(date="2025-12-30")
    assert not any(health in screen.health_badges()["Players"] for health in ("ok", "critical"))
    assert "Not run yet" in screen.verdict
    assert ":gray" in screen.verdict
    assert screen.figure_of("Coverage") == ("0 of 28", "not run yet")
    screen.app.switch_page("../pages/coverage.py").run()
    assert screen.table()[0]["state"] == "not run yet"
    assert ">not run yet<" in " ".join(screen.html_bodies)


def test_the_coverage_page_counts_every_denominator_and_system_of_29_december(open_page):
    rows = {str(row["game date"])[:10]: row for row in open_page("coverage").table()}
    night = rows[INCIDENT]
    assert [night[name] for name in ("games", "with odds", "in context", "eligible", "active", "rows")] == [
        11,
        176,
        352,
        158,
        68,
        1700,
    ]
    assert f"{night['% of eligible']:.1f} {night['% of context']:.1f}" == "43.0 19.3"
    assert [night[name] for name in night if name.endswith(("_v1", "average"))] == [68] * 5
    assert night["state"] == "critical"
    assert rows[NO_GAMES]["state"] == "none expected"
    assert rows[GOOD_NIGHT]["state"] == "ok"


def test_choosing_another_denominator_keeps_the_table(open_page):
    screen = open_page("coverage")
    before = screen.table()
    screen.app.get_by_key("coverage_share").set_value("in context").run()
    assert not screen.app.exception
    assert len(screen.table()) == len(before)


def test_the_balance_of_missing_players_is_shown_and_correct(open_page):
    text = open_page("missing_players").text
    assert "158 eligible = 68 active + 90 rejected + 0 unexplained" in text


def test_every_missing_player_has_a_stage_a_reason_evidence_and_a_repair(open_page):
    rows = [row for row in open_page("missing_players").losses if row["reason"] != "ineligible"]
    assert len(rows) == 105  # 90 rejected on write and 15 with odds that never came into context
    assert all("Dropped at: " in row["about"] and "Suggested fix: " in row["about"] for row in rows)
    rejected = [row for row in rows if row["reason"] == "write rejected"]
    assert len(rejected) == 90
    assert all("DML queue full" in row["about"] and row["Evidence"].endswith(" ET") for row in rejected)


def test_players_without_context_are_distinguished_by_their_alias(open_page):
    rows = {row["Lookup key"]: row["reason"] for row in open_page("missing_players").losses}
    assert rows["herbjones"] == "no context row, alias available"
    assert rows["kevinporterjr"] == "no context row, no alias"


def test_search_and_reason_filters_reduce_the_missing_players(open_page):
    screen = open_page("missing_players")

    def shown() -> list[str]:
        return [row["Lookup key"] for row in screen.losses if row["reason"] != "ineligible"]

    screen.app.text_input(key="missing_find").set_value("herb").run()
    assert shown() == ["herbjones"]
    screen.app.text_input(key="missing_find").set_value("").run()
    screen.app.get_by_key("missing_kind").set_value(["write rejected"]).run()
    assert len(shown()) == 90
    screen.app.text_input(key="missing_find").set_value("no such player").run()
    assert "No matches." in screen.text


def test_ineligible_players_are_listed_separately(open_page):
    screen = open_page("missing_players")
    assert "Ineligible players: 194" in screen.text
    assert sum(row["reason"] == "ineligible" for row in screen.losses) == 194


def test_a_player_has_a_page_of_its_own_up_to_the_step_that_lost_it(open_page):
    screen = open_page("player", player="lukadoncic")
    for phrase in ("Luka Dončić has no active predictions", "Missing", "Write rejected · 89 other players"):
        assert phrase in screen.verdict
    (steps,) = [to_text(body) for body in screen.html_bodies if "Through the pipeline" in body]
    assert "DML queue full (2 running + 20 queued) · 25 rows generated 400 Resources exceeded" in steps
    assert re.search(r"Generated 14:4\d:\d\d ET", steps)
    (strip,) = [body for body in screen.html_bodies if "player-strip" in body]
    assert strip.count("<li>") == 13, "16 to 29 December without the 24th"
    assert "Mon 29 Dec 2025: eligible, not written" in strip
    assert "Re-run Luka Dončić" in [button.label for button in screen.app.button]
    unknown = open_page("player", player="<b>nobody</b>")
    assert "No player “<b>nobody</b>” on this date" in unknown.verdict


def test_a_healthy_night_has_no_missing_players(open_page):
    text = open_page("missing_players", GOOD_NIGHT).text
    assert "128 eligible = 128 active + 0 unexplained" in text


def test_the_newest_batch_has_the_state_of_the_judgement_in_its_row_too(open_page):
    screen = open_page("runs")
    assert "reported success 158/158, but only 68 players are active" in screen.text
    (table,) = [html for html in screen.html_bodies if "rows-table" in html]
    assert '<span class="sr">critical: </span>reported success' in table


def test_the_dml_page_counts_each_rejected_write_once(open_page):
    screen = open_page("dml_errors")
    assert screen.metric_of("Rejected") == ("90", "of 158 attempted")
    assert screen.metric_of("Rejection rate") == ("57.0%", "matches the logs")
    assert screen.metric_of("Peak concurrent DML")[1] == "of 22 allowed"
    assert screen.metric_of("Alert threshold reached")[0].startswith("14:47:")
    assert len(screen.table()) == 90


def test_the_dml_page_of_a_healthy_night_has_no_rejections_and_no_alert(open_page):
    screen = open_page("dml_errors", GOOD_NIGHT)
    assert screen.metric_of("Rejected") == ("0", "of 128 attempted")
    assert screen.metric_of("Alert threshold reached")[0] == "no"


def test_all_writes_can_be_shown_with_the_rejected_ones_and_the_zoomed_chart_reads_no_changes(open_page, monkeypatch):
    screen = open_page("dml_errors")
    monkeypatch.setattr(events, "night_events", None)  # the chart with the marks would call it
    screen.app.toggle(key="dml_zoom").set_value(True).run()
    assert not screen.app.exception
    screen.app.toggle(key="dml_rejected").set_value(False).run()
    assert {row["outcome"] for row in screen.table()} == {"done", "rejected"}
    assert len(screen.table()) == 158


def test_the_staging_page_distinguishes_merged_from_unmerged_tables(open_page):
    rows = open_page("staging_tables").table()
    classes = {(str(row["game date"])[:10], row["status"], row["unmerged rows"] > 0) for row in rows}
    assert ("2025-12-23", "already merged", False) in classes
    assert any(night == "2025-12-25" and has_unmerged_rows for night, _, has_unmerged_rows in classes)


def test_the_concurrency_page_compares_the_capacity_with_the_limit(open_page):
    screen = open_page("worker_capacity")
    assert "prediction-worker: 12 concurrent requests (4 × 3, emergency limit); limit 22" in screen.verdict
    for phrase in ("prediction-worker-00011-zw5", "prediction-coordinator-00005-b2r", "29 Dec 20:20 ET"):
        assert phrase in screen.text
