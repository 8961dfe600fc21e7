"""Alias edits: pasted lines, plan parameters, reversing and correcting; what is malformed is refused by its line."""

from __future__ import annotations

import pytest

from services.aliases.edits import (
    Edit,
    EditKind,
    ParsedLines,
    from_params,
    parse_lines,
    replace_canonical,
    reverse,
    reverse_conflicting,
    to_params,
)
from services.core.errors import InvalidInput


def parse(text):
    parsed = parse_lines(text)
    assert not parsed.problems
    return tuple(parsed.edits.values())


def test_a_pasted_malformed_line_is_named_by_its_number_and_the_others_are_read():
    lines = [f"alias{n},canonical{n}" for n in "abcdefghijklmnopqrst"]
    assert len(parse("\n".join(lines))) == 20
    parsed = parse_lines("\n".join([*lines[:12], "nocomma", *lines[12:]]))
    assert (list(parsed.problems), len(parsed.edits), parsed.count) == ([13], 20, 21)
    assert parse_lines(" \n ") == parse_lines("alias,canonical") == ParsedLines({}, {})


def test_five_hundred_bad_lines_are_five_hundred_problems():
    parsed = parse_lines("nocomma\n" * 500)
    assert (len(parsed.problems), parsed.edits) == (500, {})


def test_pasted_names_are_normalized_and_keep_their_display_name():
    assert parse("Tim Hardaway Junior, Tim Hardaway") == (
        Edit(EditKind.ADD, "timhardawayjr", "timhardaway", "Tim Hardaway Junior"),
    )


@pytest.mark.parametrize(
    ("edits", "expected_message"),
    [
        ([], "Select at least one"),
        ([{"do": "drop", "alias": "a", "canonical": "b"}], "Invalid edit format"),
        ([{"do": "add", "alias": "x'); DROP TABLE", "canonical": "bb"}], "a lookup key has 2 to 100"),
        ([{"do": "add", "alias": "aa", "canonical": "bb"}] * 2, "Duplicate edit aa → bb"),
        ([{"do": "add", "alias": f"alias{n}", "canonical": "bb"} for n in range(201)], "at most"),
    ],
)
def test_invalid_edits_are_refused(edits, expected_message):
    with pytest.raises(InvalidInput, match=expected_message):
        from_params({"edits": edits})


def test_reversing_and_correcting_deactivate_the_old_row_and_add_the_new_one():
    assert from_params(to_params(reverse("robertwilliamsiii", "robertwilliams"))) == (
        Edit(EditKind.DEACTIVATE, "robertwilliamsiii", "robertwilliams"),
        Edit(EditKind.ADD, "robertwilliams", "robertwilliamsiii"),
    )
    assert [edit.do for edit in replace_canonical("a1", "b1", "c1")] == [EditKind.DEACTIVATE, EditKind.ADD]


def test_adding_the_reverse_of_an_active_alias_deactivates_that_alias():
    edits = parse("robertwilliams,robertwilliamsiii\nherbjones,herbertjones")
    assert reverse_conflicting(edits, {"robertwilliamsiii": {"robertwilliams"}}) == (
        Edit(EditKind.DEACTIVATE, "robertwilliamsiii", "robertwilliams"),
        *edits,
    )


def test_arrows_tabs_headers_and_empty_lines_are_read():
    text = (
        "alias_lookup, nba_canonical_lookup\n\nalias,canonical\nherbjones → herbertjones\n  \ngarytrentjr\tgarytrent\n"
    )
    assert {
        number: (edit.alias, edit.canonical, edit.alias_display) for number, edit in parse_lines(text).edits.items()
    } == {
        4: ("herbjones", "herbertjones", ""),
        6: ("garytrentjr", "garytrent", ""),
    }


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("!!!,herbertjones", "“!!!” has signs that are in no name."),
        ("herbertjones,...", "“herbertjones,...” has a name without letters."),
        ("a,b,c", "expected `alias, canonical`, not “a,b,c”."),
        ("a,", "expected `alias, canonical`, not “a,”."),
        ("<script>alert(1)</script>,kevinporter", "“<script>alert(1)</script>” has signs that are in no name."),
        ("a'; DROP TABLE x;--,kevinporter", "“a'; DROP TABLE x;--” has signs that are in no name."),
        ("herb_jones,herbertjones", "“herb_jones” has signs that are in no name."),
        ("x" * 20_000 + ",kevinporter", f"“{'x' * 60}…” has 20,000 characters; at most 100."),
        ("x" * 200, f"expected `alias, canonical`, not “{'x' * 60}…”."),
    ],
)
def test_a_line_that_is_no_alias_is_refused_and_never_rewritten(line, problem):
    assert parse_lines(f"herbjones,herbertjones\n{line}").problems == {2: problem}


@pytest.mark.parametrize("name", ["Nikola Jokić", "D'Angelo Russell", "Karl-Anthony Towns", "J.J. Barea", "x" * 100])
def test_a_name_as_people_write_it_is_read(name):
    assert len(parse(f"{name},kevinporter")) == 1


def test_a_line_that_says_what_another_says_is_named_with_it():
    text = "herbjones,herbertjones\n\nHerb Jones,herbertjones"
    assert parse_lines(text).problems == {3: "duplicates line 1."}


def test_two_hundred_edits_are_saved_together_and_what_is_removed_need_not_be_well_formed():
    edits = [{"do": "add", "alias": f"alias{n}", "canonical": "bb"} for n in range(200)]
    assert len(from_params({"edits": edits})) == 200
    odd = {"do": "deactivate", "alias": "h.jones", "canonical": "x"}
    assert from_params({"edits": [odd]}) == (Edit(EditKind.DEACTIVATE, "h.jones", "x"),)


@pytest.mark.parametrize(
    "edit",
    [
        {"do": "add", "alias": "a", "canonical": "bb"},
        {"do": "add", "alias": "aa", "canonical": "b"},
        {"do": "add", "alias": "aa", "canonical": "b" * 101},
        {"do": "add", "alias": "Herb", "canonical": "bb"},
        {"do": "add", "alias": "aa", "canonical": "bb", "more": 1},
        {"alias": "aa", "canonical": "bb"},
    ],
)
def test_an_addition_that_is_no_pair_of_lookups_is_refused(edit):
    with pytest.raises(InvalidInput):
        from_params({"edits": [edit]})


@pytest.mark.parametrize("params", [{}, {"edits": None}, {"edits": "all"}, {"edits": {}}])
def test_nothing_chosen_never_means_all(params):
    with pytest.raises(InvalidInput, match="Select at least one alias"):
        from_params(params)


def test_an_edit_that_reverses_nothing_stays_and_repeats_are_dropped():
    add, remove = Edit(EditKind.ADD, "aa", "bb"), Edit(EditKind.DEACTIVATE, "bb", "aa")
    assert reverse_conflicting([add, add], {"bb": {"cc"}}) == (add,)
    assert reverse_conflicting([remove, add], {"bb": {"aa"}}) == (remove, add)
    assert reverse_conflicting([Edit(EditKind.DEACTIVATE, "aa", "bb")], {"bb": {"aa"}}) == (
        Edit(EditKind.DEACTIVATE, "aa", "bb"),
    )
