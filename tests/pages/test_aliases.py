"""The aliases page: names ranked by what they cost, likely aliases filled in, bad lines named, identities side by side."""

from __future__ import annotations


def test_the_names_of_29_december_are_told_apart_by_what_helps(open_page):
    screen = open_page("aliases")
    assert "15 names of the odds meet no player" in screen.verdict
    rows = {row["in the odds as"]: row for row in screen.table()}
    assert rows["jimmybutler"]["comes down to"] == "jimmybutleriii was out: nothing lost"
    assert rows["herbjones"]["comes down to"] == "an alias leads to herbertjones; the odds do not use it"
    assert rows["kevinporterjr"]["likely"] == "kevinporter"
    assert [row["lost"] for row in screen.table()] == sorted((row["lost"] for row in rows.values()), reverse=True)


def test_likely_aliases_are_filled_in_and_the_wrong_way_one_is_turned_round(open_page):
    screen = open_page("aliases")
    (lines,) = [area.value.splitlines() for area in screen.app.text_area]
    assert "kevinporterjr,kevinporter" in lines
    assert not any(line.startswith("herbjones") for line in lines), "it has an alias"
    assert "robertwilliamsiii → robertwilliams points the other way: it is turned round." in screen.words


def test_a_bad_line_is_named_and_no_button_is_offered(open_page):
    screen = open_page("aliases")
    screen.app.text_area[0].set_value("kevinporterjr,kevinporter\nnocomma").run()
    assert "Line 2 is not `alias,canonical`" in screen.words
    assert not [button.label for button in screen.app.button if "Check and save" in button.label]


def test_faults_of_the_stored_aliases_and_the_twins_are_shown(open_page):
    screen = open_page("aliases")
    screen.app.segmented_control(key="alias_room").set_value("Aliases").run()
    assert "consolidate them too" in screen.words
    assert "robertwilliams is not in the registry" in screen.words
