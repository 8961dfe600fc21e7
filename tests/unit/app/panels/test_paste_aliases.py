"""The box where aliases are pasted: every line is kept and counted, what is wrong is one list, and all are saved or none."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from services.actions.background import ActionHandle
from services.actions.log_reader import ActionState
from services.aliases.edits import Edit, EditKind, parse_lines, to_params
from services.aliases.save import EDIT_ALIASES
from tests.support.registry_factories import make_registry

REGISTRY = make_registry(("garytrentjr", "garytrent"), ("herbjones", "herbertjones"))


def page(registry, accepted):
    import streamlit as st

    from app.panels import paste_aliases

    st.session_state["changes"] = paste_aliases.paste_box(registry, accepted)


@pytest.fixture
def paste():
    """What is said of a pasted text, and the changes that would be saved."""

    def run(text, accepted=()):
        app = AppTest.from_function(page, args=(REGISTRY, accepted), default_timeout=20).run()
        app.text_area[0].set_value(text).run()
        assert app.text_area[0].value == text, "nothing that was pasted is thrown away"
        said = "\n".join(element.value for element in (*app.markdown, *app.caption)).replace("\\", "")
        return app.session_state["changes"], said

    return run


def test_five_hundred_bad_lines_are_one_list(paste):
    changes, said = paste("nocomma\n" * 150)
    assert changes == ()
    assert "**0 of 150 lines valid**" in said
    assert "**150 problems.**" in said
    assert "- Line 20: expected" in said
    assert "- Line 21" not in said
    assert "- and 130 more" in said


def test_as_many_problems_as_are_listed_are_listed_without_a_rest(paste):
    _, said = paste("nocomma\n" * 20)
    assert "- Line 20: expected" in said
    assert "more" not in said
    _, one = paste("nocomma")
    assert "**0 of 1 line valid**" in one
    assert "**1 problem.**" in one


def test_an_empty_box_says_nothing(paste):
    changes, said = paste("")
    assert (changes, said) == ((), "### Paste aliases")


def test_lines_that_exist_already_change_nothing(paste):
    changes, said = paste("herbjones,herbertjones")
    assert changes == ()
    assert said.endswith("**1 of 1 line valid**, 1 of them exists already")
    assert paste("herbjones,herbertjones\ngarytrentjr,garytrent")[1].endswith("2 of them exist already")


def test_a_suggestion_that_cannot_be_saved_is_named_without_a_line(paste):
    bad = Edit(EditKind.ADD, "someone", "nobodyatall")
    changes, said = paste("lebronj,lebronjames", (bad,))
    assert changes == ()
    assert "- Canonical nobodyatall is not in the player registry." in said
    assert "**1 of 1 line valid**" in said


def test_of_lines_with_the_same_alias_the_first_is_named(paste):
    _, said = paste("someone,nobodyatall\nlebronj,lebronjames\nsomeone,nobodyatall")
    assert "- Line 1: Canonical nobodyatall is not in the player registry." in said
    assert "- Line 3: Canonical" not in said


def test_more_lines_than_are_saved_together_are_counted(paste):
    changes, said = paste("\n".join(f"alias{n},herbertjones" for n in range(500)))
    assert changes == ()
    assert "500 of at most 200 lines: remove 300." in said


def test_what_is_accepted_and_what_is_pasted_are_saved_together_with_what_they_reverse(paste):
    accepted = Edit(EditKind.ADD, "lebronj", "lebronjames")
    changes, said = paste("garytrent,garytrentjr\nlebronj,lebronjames\nherbjones,herbertjones", (accepted,))
    assert [(edit.do, edit.alias) for edit in changes] == [
        (EditKind.ADD, "lebronj"),
        (EditKind.DEACTIVATE, "garytrentjr"),
        (EditKind.ADD, "garytrent"),
    ]
    assert "**3 of 3 lines valid**, 1 of them exists already" in said
    assert "Reverses the existing alias garytrentjr → garytrent." in said


def test_an_invalid_line_is_named_and_nothing_would_be_saved(paste):
    changes, said = paste("lebronj,lebronjames\nsomeone,nobodyatall\n<b>x</b>,lebronjames")
    assert changes == ()
    assert "**1 of 3 lines valid**" in said
    assert "- Line 2: Canonical nobodyatall is not in the player registry." in said
    assert "- Line 3: “<b>x</b>” has signs that are in no name." in said


def test_a_pasted_name_formats_nothing_in_what_is_said_about_it(paste):
    _, said = paste("[x](http://evil.example),lebronjames")
    assert "http://" not in said


def save_of(text, state=None):
    """The handle of a save of pasted lines, as this session keeps it; without a state it runs."""
    future: Future[Any] = Future()
    if state is not None:
        plan = SimpleNamespace(args=to_params(parse_lines(text).edits.values()))
        future.set_result(SimpleNamespace(action_id="a1", state=state, plan=plan))
    now = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
    return {"k": ActionHandle("k", EDIT_ALIASES.name, "player_aliases", "Save", now, future)}


@pytest.mark.parametrize(
    ("text", "saved", "state", "kept"),
    [
        ("herbjones,herbertjones", "herbjones,herbertjones", ActionState.DONE, ""),
        ("alias,canonical\nherbjones,herbertjones\n", "herbjones,herbertjones", ActionState.DONE, ""),
        ("nocomma\nherbjones, herbertjones", "herbjones,herbertjones", ActionState.DONE, "nocomma"),
        ("herbjones,herbertjones", "herbjones,herbertjones", ActionState.FAILED, "herbjones,herbertjones"),
        ("herbjones,herbertjones", "lebronj,lebronjames", ActionState.DONE, "herbjones,herbertjones"),  # not read anew
    ],
)
def test_lines_that_were_saved_leave_the_box_once(text, saved, state, kept):
    app = AppTest.from_function(page, args=(REGISTRY, ()), default_timeout=20).run()
    app.text_area[0].set_value(text).run()
    app.session_state["action handles"] = save_of(saved)
    app.run()
    assert app.text_area[0].value == text
    assert app.text_area[0].disabled
    app.session_state["action handles"] = save_of(saved, state)
    app.run()
    assert app.text_area[0].value == kept
    assert not app.text_area[0].disabled
    if not kept:
        app.text_area[0].set_value(text).run()
        assert app.text_area[0].value == text, "pasted again it says that it exists"


def test_another_action_of_the_session_leaves_the_box_open_and_its_lines_in_it():
    app = AppTest.from_function(page, args=(REGISTRY, ()), default_timeout=20).run()
    app.text_area[0].set_value("herbjones,herbertjones").run()
    (save,) = save_of("herbjones,herbertjones").values()
    app.session_state["action handles"] = {"k": replace(save, action_name="staging.drop")}
    app.run()
    assert not app.text_area[0].disabled
