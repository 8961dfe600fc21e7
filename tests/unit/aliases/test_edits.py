"""Alias edits: pasted lines, plan parameters, reversing and correcting; what is malformed is refused by its line."""

from __future__ import annotations

import pytest

from services.aliases.edits import (
    Edit,
    EditKind,
    from_params,
    parse_lines,
    replace_canonical,
    reverse,
    reverse_conflicting,
    to_params,
)
from services.core.errors import InvalidInput


def parse(text):
    return tuple(parse_lines(text).values())


def test_a_pasted_malformed_line_is_refused_by_its_number():
    lines = [f"alias{n},canonical{n}" for n in "abcdefghijklmnopqrst"]
    assert len(parse("\n".join(lines))) == 20
    with pytest.raises(InvalidInput, match="Line 13"):
        parse("\n".join([*lines[:12], "nocomma", *lines[12:]]))
    with pytest.raises(InvalidInput, match="No line"):
        parse(" \n ")


def test_pasted_names_are_normalized_and_keep_their_display_name():
    assert parse("Tim Hardaway Junior, Tim Hardaway") == (
        Edit(EditKind.ADD, "timhardawayjr", "timhardaway", "Tim Hardaway Junior"),
    )


@pytest.mark.parametrize(
    ("edits", "expected_message"),
    [
        ([], "never means all"),
        ([{"do": "drop", "alias": "a", "canonical": "b"}], "not written"),
        ([{"do": "add", "alias": "x'); DROP TABLE", "canonical": "bb"}], "not both lookups"),
        ([{"do": "add", "alias": "aa", "canonical": "bb"}] * 2, "stands twice"),
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
    assert {number: (edit.alias, edit.canonical, edit.alias_display) for number, edit in parse_lines(text).items()} == {
        4: ("herbjones", "herbertjones", ""),
        6: ("garytrentjr", "garytrent", ""),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("herbjones,herbertjones\n!!!,herbertjones", "Line 2 has a name without letters: '!!!,herbertjones'"),
        ("herbertjones,...", "Line 1 has a name without letters"),
        ("a,b,c", "Line 1 is not `alias,canonical`: 'a,b,c'"),
        ("a,", "Line 1 is not `alias,canonical`"),
        (
            "herbjones,herbertjones\n\nHerb Jones,herbertjones",
            "Line 3 says the same as line 1: 'Herb Jones,herbertjones'",
        ),
        ("alias,canonical", "No line names an alias"),
    ],
)
def test_a_line_that_says_nothing_new_or_nothing_is_refused_by_its_number(text, message):
    with pytest.raises(InvalidInput) as refused:
        parse_lines(text)
    assert refused.value.message.startswith(message)


def test_a_long_line_is_quoted_by_its_beginning():
    with pytest.raises(InvalidInput) as refused:
        parse_lines("x" * 200)
    assert refused.value.message == f"Line 1 is not `alias,canonical`: {'x' * 80!r}."


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
        {"do": "add", "alias": "aa", "canonical": "b" * 81},
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
    with pytest.raises(InvalidInput, match="never means all"):
        from_params(params)


def test_an_edit_that_reverses_nothing_stays_and_repeats_are_dropped():
    add, remove = Edit(EditKind.ADD, "aa", "bb"), Edit(EditKind.DEACTIVATE, "bb", "aa")
    assert reverse_conflicting([add, add], {"bb": {"cc"}}) == (add,)
    assert reverse_conflicting([remove, add], {"bb": {"aa"}}) == (remove, add)
    assert reverse_conflicting([Edit(EditKind.DEACTIVATE, "aa", "bb")], {"bb": {"aa"}}) == (
        Edit(EditKind.DEACTIVATE, "aa", "bb"),
    )
