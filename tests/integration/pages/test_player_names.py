"""The aliases page: names ranked by what they cost, likely aliases filled in, bad lines named, identities side by side."""

from __future__ import annotations

import re
from datetime import date

from app.panels import paste_aliases
from app.state import background_cache
from services.aliases.save import validate
from services.sandbox.common.fault_injection import Fault


def buttons(screen, label):
    return [button for button in screen.app.button if button.label == label]


def review_labels(screen):
    return [button.label for button in screen.app.button if button.label.startswith("Review")]


def test_the_names_that_need_an_alias_are_rows_worst_loss_first(open_page):
    screen = open_page("player_names")
    assert "15 unmatched odds names" in screen.verdict
    assert "Needs an alias :gray[5 names, worst loss first" in screen.text
    assert "**Bones Hyland**" in screen.text
    assert len(buttons(screen, "Accept")) == len(buttons(screen, "Not the same")) == 5
    assert "6 players with an alias that the odds processor ignores · 150 missed rows" in screen.text
    assert "4 players out, no impact · 0 missed rows" in screen.text
    tables = [table.value for table in screen.app.dataframe]
    out = next(t for t in tables if "jimmybutler" in set(t["lookup key"]))
    assert set(out["est. missed predictions"]) == {0}
    assert [area.value for area in screen.app.text_area] == [""], "nothing is filled in that nobody accepted"


def test_what_is_accepted_is_counted_in_the_review_and_can_be_withdrawn(open_page):
    screen = open_page("player_names")
    assert review_labels(screen) == []
    screen.app.button(key="accept boneshyland").click().run()
    screen.app.button(key="accept robertwilliams").click().run()
    assert review_labels(screen) == ["Review 3 changes"], "one of them reverses an alias"
    assert "Reverses the existing alias robertwilliamsiii → robertwilliams." in screen.text
    screen.app.button(key="unaccept robertwilliams").click().run()
    assert review_labels(screen) == ["Review 1 change"]


def test_a_suggestion_is_rejected_with_a_reason_in_its_own_dialog(open_page):
    screen = open_page("player_names")
    screen.app.button(key="open reject alexsarr alexandresarr").click().run()
    screen.app.button(key="reason form confirm").click().run()
    assert "Enter a reason." in screen.text
    assert "alexsarr → alexandresarr: suggested → not suggested again" in screen.text


def test_the_names_not_in_context_are_the_same_15_on_both_pages(open_page):
    assert "15 unmatched odds names" in open_page("player_names").verdict
    assert "15 more have odds but no context row" in open_page("missing_players").verdict


def test_the_counts_of_odds_names_add_up(open_page):
    (facts,) = [body for body in open_page("player_names").html_bodies if 'class="fact-row"' in body]
    values = [int(value) for value in re.findall(r"<dd>([\d,]+)", facts)]
    assert values == [176, 161, 5, 6, 4]
    assert values[0] == sum(values[1:])


def test_the_processors_are_listed_with_their_cost_per_date(open_page):
    text = open_page("player_names").text
    assert "11.0 players/date (11 on 1 date with odds; 6 have an alias that is not applied)" in text
    assert "not measured" in text


def test_any_date_range_can_be_selected(open_page):
    screen = open_page("player_names")
    screen.app.segmented_control(key="alias_span").set_value("Custom…").run()
    screen.app.date_input(key="alias dates").set_value((date(2025, 12, 16), date(2025, 12, 30))).run()
    assert "16 Dec to 30 Dec 2025" in screen.text
    assert "15 unmatched odds names" in screen.verdict
    screen.app.date_input(key="alias dates").set_value((date(2024, 1, 1), date(2025, 12, 30))).run()
    assert "The longest range is 190 days" in screen.warnings
    assert not screen.verdict


def test_a_bad_line_is_named_and_no_button_is_offered(open_page):
    screen = open_page("player_names")
    lines = ["alias,canonical", "kevinporterjr,kevinporter", "nocomma", "herb,herbjones", "someone,nobodyatall"]
    screen.app.text_area[0].set_value("\n".join(lines)).run()
    assert "- Line 3: expected `alias, canonical`" in screen.text
    assert "- Line 4: " in screen.text
    assert "- Line 5: Canonical nobodyatall is not in the player registry" in screen.text
    assert "**1 of 4 lines valid**" in screen.text
    assert not review_labels(screen)


def test_the_same_lines_are_validated_again_only_after_the_registry_was_reread(open_page, monkeypatch):
    validations = []

    def counted_validate(registry, edits):
        validations.append(registry)
        return validate(registry, edits)

    monkeypatch.setattr(paste_aliases, "validate", counted_validate)
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
    assert "**2 of 2 lines valid**, 1 of them exists already" in screen.text
    assert review_labels(screen) == ["Review 1 change"]
    screen.app.text_area[0].set_value("herbjones,herbertjones").run()
    assert not review_labels(screen)


def test_violations_of_stored_aliases_and_duplicate_identities_are_shown(open_page):
    screen = open_page("player_names")
    screen.app.segmented_control(key="alias_room").set_value("Aliases").run()
    assert "merge them too" in screen.text
    assert "Canonical robertwilliams is not in the player registry" in screen.text


def test_the_coverage_of_each_date_counts_alias_matches_and_unmatched_names(open_page):
    (table,) = [t for t in open_page("coverage").app.dataframe if "unmatched names" in t.value]
    night = table.value[table.value["game date"] == date(2025, 12, 29)].iloc[0]
    assert (night["with odds"], night["matched via alias"], night["unmatched names"]) == (176, 7, 8)


def test_names_that_cannot_be_read_have_a_headline_that_says_so(open_page, sandbox):
    sandbox.state.faults.set(Fault("bigquery", "status", status=403))
    assert "Unmatched names unavailable" in open_page("player_names").verdict
