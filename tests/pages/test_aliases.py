"""The aliases page: names ranked by what they cost, likely aliases filled in, bad lines named, identities side by side."""

from __future__ import annotations

from datetime import date

from app.panels import alias_panels
from app.state import background_cache as patience
from services.aliases.save import judge


def test_the_names_of_29_december_are_told_apart_by_what_helps(open_page):
    screen = open_page("aliases")
    assert "15 names of the odds meet no player" in screen.verdict
    rows = {row["in the odds as"]: row for row in screen.table()}
    assert rows["jimmybutler"]["comes down to"] == "jimmybutleriii was out: nothing lost"
    assert rows["herbjones"]["comes down to"] == "an alias leads to herbertjones; the odds do not use it"
    assert rows["kevinporterjr"]["likely"] == "kevinporter"
    assert (rows["kevinporterjr"]["predictions lost, at most"], rows["jimmybutler"]["predictions lost, at most"]) == (
        25,
        0,
    )
    assert [row["lost"] for row in screen.table()] == sorted((row["lost"] for row in rows.values()), reverse=True)


def test_what_aliases_do_is_a_sum_that_adds_up(open_page):
    screen = open_page("aliases")
    assert "176 names with odds = 161 exact + 7 through an alias + 8 unresolved" in screen.words


def test_the_customers_processors_stand_with_what_they_cost_a_night(open_page):
    words = open_page("aliases").words
    assert "11.0 players a night (11 in 1 with odds; 6 of them have an alias that is not used)" in words
    assert "not measured: its table is not read here" in words


def test_any_nights_can_be_chosen(open_page):
    screen = open_page("aliases")
    screen.app.segmented_control(key="alias_span").set_value("Other nights").run()
    screen.app.date_input(key="alias dates").set_value((date(2025, 12, 16), date(2025, 12, 30))).run()
    assert "16 Dec to 30 Dec 2025" in screen.words
    assert "15 names of the odds meet no player" in screen.verdict
    screen.app.date_input(key="alias dates").set_value((date(2024, 1, 1), date(2025, 12, 30))).run()
    assert "At most 190 nights" in screen.notice
    assert not screen.verdict


def test_likely_aliases_are_filled_in_and_the_wrong_way_one_is_turned_round(open_page):
    screen = open_page("aliases")
    (lines,) = [area.value.splitlines() for area in screen.app.text_area]
    assert "kevinporterjr,kevinporter" in lines
    assert not any(line.startswith("herbjones") for line in lines), "it has an alias"
    assert "robertwilliamsiii → robertwilliams points the other way: it is turned round." in screen.words


def saves(screen):
    return [button.label for button in screen.app.button if "Check and save" in button.label]


def test_a_bad_line_is_named_and_no_button_is_offered(open_page):
    screen = open_page("aliases")
    screen.app.text_area[0].set_value("kevinporterjr,kevinporter\nnocomma").run()
    assert "Line 2 is not `alias,canonical`" in screen.words
    assert not saves(screen)


def test_a_line_that_the_checks_refuse_is_named_before_any_plan(open_page):
    screen = open_page("aliases")
    lines = ["alias,canonical", "kevinporterjr,kevinporter", "", "herb,herbjones", "someone,nobodyatall"]
    screen.app.text_area[0].set_value("\n".join(lines)).run()
    assert "Line 4: herbjones is not in the registry, so herb would lead nowhere." in screen.words
    assert "Line 4: herbjones is an alias itself (herbertjones); only one hop is followed." in screen.words
    assert "Line 5: nobodyatall is not in the registry" in screen.words
    assert "Nothing is saved while a line is wrong." in screen.words
    assert not saves(screen)


def test_the_same_lines_are_judged_again_only_when_the_names_were_read_anew(open_page, monkeypatch):
    judged = []
    monkeypatch.setattr(alias_panels, "judge", lambda book, edits: judged.append(book) or judge(book, edits))
    screen = open_page("aliases")
    screen.app.run()
    assert len(judged) == 1
    patience.forget()
    screen.app.run()
    assert len(judged) == 2
    screen.app.text_area[0].set_value("kevinporterjr,kevinporter\nkevinporter,kevinporterjr").run()
    assert len(judged) == 3


def test_lines_that_are_active_already_stop_nobody(open_page):
    screen = open_page("aliases")
    screen.app.text_area[0].set_value("Herb Jones, Herbert Jones\nkevinporterjr,kevinporter").run()
    assert "1 of 2 are active already and stay as they are." in screen.words
    assert saves(screen) == ["Check and save 1"]
    screen.app.text_area[0].set_value("herbjones,herbertjones").run()
    assert "Nothing new is written" in screen.words
    assert not saves(screen)


def test_faults_of_the_stored_aliases_and_the_twins_are_shown(open_page):
    screen = open_page("aliases")
    screen.app.segmented_control(key="alias_room").set_value("Aliases").run()
    assert "consolidate them too" in screen.words
    assert "robertwilliams is not in the registry" in screen.words


def test_the_coverage_of_each_night_tells_who_came_by_an_alias_and_who_met_nobody(open_page):
    (table,) = [t for t in open_page("coverage").app.dataframe if "met nobody" in t.value]
    night = table.value[table.value["game date"] == date(2025, 12, 29)].iloc[0]
    assert (night["with odds"], night["by alias"], night["met nobody"]) == (176, 7, 8)
