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
