"""A number field refuses what it does not take, instead of keeping the last number that it took."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.components.number_field import parse_whole_number


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1), ("200", 200), (" 12 ", 12), ("007", 7), ("0", None), ("201", None), ("999", None)]
)
def test_a_whole_number_within_the_limits_is_taken(text, number):
    assert parse_whole_number(text, 1, 200) == number


@pytest.mark.parametrize("text", ["", "12.5", "1e9", "12,000", "-1", "+5", "ten", "１２", "1 2", "0x10", "9" * 5000])
def test_what_is_no_whole_number_is_refused(text):
    assert parse_whole_number(text, 1, 200) is None


def test_the_field_says_what_it_does_not_take():
    def page():
        import streamlit as st

        from app.components.number_field import whole_number_field

        number, problem = whole_number_field("Instances", 1, 200, 20, key="n")
        st.markdown(f"{number}|{problem}")

    app = AppTest.from_function(page).run()
    assert app.markdown[0].value == "20|"
    app.text_input(key="n").set_value("12.5").run()
    assert app.markdown[0].value == "None|Instances: a whole number from 1 to 200, not “12.5”."
