"""The aliases page: names ranked by what they cost, likely aliases filled in, bad lines named, identities side by side."""

from __future__ import annotations

from datetime import date

from app.panels import alias_panels
from app.state import background_cache
from services.aliases.save import validate


def test_the_unmatched_names_of_29_december_show_their_outcome(open_page):
    screen = open_page("player_names")
    assert (
        "15 names with odds not in context: an alias would resolve 7, 8 without an alias; 4 of them were out"
        in screen.verdict
    )
    rows = {row["in the odds as"]: row for row in screen.table()}
    assert rows["jimmybutler"]["comes down to"] == "jimmybutleriii was out: nothing lost"
    assert rows["herbjones"]["comes down to"] == "an alias leads to herbertjones; the odds do not use it"
    assert rows["kevinporterjr"]["likely"] == "kevinporter"
    assert (rows["kevinporterjr"]["predictions lost, at most"], rows["jimmybutler"]["predictions lost, at most"]) == (
        25,
        0,
    )
    assert [row["lost"] for row in screen.table()] == sorted((row["lost"] for row in rows.values()), reverse=True)


def test_the_names_not_in_context_are_the_same_15_on_every_page(open_page):
    assert "15 names with odds not in context: an alias would resolve 7" in open_page("player_names").verdict
    assert "15 more have odds but are not in context" in open_page("missing_players").verdict
    assert "15 names with odds have no context row; 7 would match through an existing alias" in open_page().text


def test_the_resolution_counts_add_up(open_page):
    screen = open_page("player_names")
    assert "176 names with odds = 161 in context + 7 that an alias would resolve + 8 without an alias" in screen.text


def test_the_customers_processors_are_listed_with_their_cost_per_night(open_page):
    text = open_page("player_names").text
    assert "11.0 players a night (11 in 1 with odds; 6 of them have an alias that is not used)" in text
    assert "not measured: its table is not read here" in text


def test_any_date_range_can_be_selected(open_page):
    screen = open_page("player_names")
    screen.app.segmented_control(key="alias_span").set_value("Other nights").run()
    screen.app.date_input(key="alias dates").set_value((date(2025, 12, 16), date(2025, 12, 30))).run()
    assert "16 Dec to 30 Dec 2025" in screen.text
    assert (
        "15 names with odds not in context: an alias would resolve 7, 8 without an alias; 4 of them were out"
        in screen.verdict
    )
    screen.app.date_input(key="alias dates").set_value((date(2024, 1, 1), date(2025, 12, 30))).run()
    assert "At most 190 nights" in screen.warnings
    assert not screen.verdict


def test_likely_aliases_are_prefilled_and_reversed_ones_are_corrected(open_page):
    screen = open_page("player_names")
    (lines,) = [area.value.splitlines() for area in screen.app.text_area]
    assert "kevinporterjr,kevinporter" in lines
    assert not any(line.startswith("herbjones") for line in lines), "it has an alias"
    assert "robertwilliamsiii → robertwilliams points the other way: it is turned round." in screen.text


def save_buttons(screen):
    return [button.label for button in screen.app.button if "Check and save" in button.label]


def test_a_malformed_line_is_named_and_no_button_is_offered(open_page):
    screen = open_page("player_names")
    screen.app.text_area[0].set_value("kevinporterjr,kevinporter\nnocomma").run()
    assert "Line 2 is not `alias,canonical`" in screen.text
    assert not save_buttons(screen)


def test_an_invalid_line_is_named_before_any_plan(open_page):
    screen = open_page("player_names")
    lines = ["alias,canonical", "kevinporterjr,kevinporter", "", "herb,herbjones", "someone,nobodyatall"]
    screen.app.text_area[0].set_value("\n".join(lines)).run()
    assert "Line 4: herbjones is not in the registry, so herb would lead nowhere." in screen.text
    assert "Line 4: herbjones is an alias itself (herbertjones); only one hop is followed." in screen.text
    assert "Line 5: nobodyatall is not in the registry" in screen.text
    assert "Nothing is saved while a line is wrong." in screen.text
    assert not save_buttons(screen)


def test_the_same_lines_are_validated_again_only_after_the_registry_was_reread(open_page, monkeypatch):
    validations = []

    def counted_validate(registry, edits):
        validations.append(registry)
        return validate(registry, edits)

    monkeypatch.setattr(alias_panels, "validate", counted_validate)
    screen = open_page("player_names")
    screen.app.run()
    assert len(validations) == 1
    background_cache.clear()
    screen.app.run()
    assert len(validations) == 2
    screen.app.text_area[0].set_value("kevinporterjr,kevinporter\nkevinporter,kevinporterjr").run()
    assert len(validations) == 3


def test_lines_that_are_already_active_block_nothing(open_page):
    screen = open_page("player_names")
    screen.app.text_area[0].set_value("Herb Jones, Herbert Jones\nkevinporterjr,kevinporter").run()
    assert "1 of 2 are active already and stay as they are." in screen.text
    assert save_buttons(screen) == ["Check and save 1"]
    screen.app.text_area[0].set_value("herbjones,herbertjones").run()
    assert "Nothing new is written" in screen.text
    assert not save_buttons(screen)


def test_violations_of_stored_aliases_and_duplicate_identities_are_shown(open_page):
    screen = open_page("player_names")
    screen.app.segmented_control(key="alias_room").set_value("Aliases").run()
    assert "consolidate them too" in screen.text
    assert "robertwilliams is not in the registry" in screen.text


def test_the_coverage_of_each_date_counts_alias_matches_and_unmatched_names(open_page):
    (table,) = [t for t in open_page("coverage").app.dataframe if "no alias" in t.value]
    night = table.value[table.value["game date"] == date(2025, 12, 29)].iloc[0]
    assert (night["with odds"], night["by alias"], night["no alias"]) == (176, 7, 8)
