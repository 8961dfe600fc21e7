"""The search of the filter bar."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from app.components import filters


def test_a_row_matches_when_each_term_is_in_some_cell():
    row = {"player": "Nikola Jokić", "stage": "dropped at write", "rows": 25}
    assert filters.matches_search(row, [])
    assert filters.matches_search(row, ["jokić", "25"])
    assert not filters.matches_search(row, ["jokić", "murray"])


def test_a_longer_text_than_is_searched_stays_in_its_field_and_is_counted():
    def page():
        import streamlit as st

        from app.components import filters

        st.session_state["terms"] = filters.search_terms("Search players…", "find")

    app = AppTest.from_function(page).run()
    app.text_input(key="find").set_value("Jokić 25").run()
    assert app.session_state["terms"] == ["jokić", "25"]
    app.text_input(key="find").set_value("x" * 300).run()
    assert (app.session_state["terms"], app.text_input(key="find").value) == ([], "x" * 300)
    assert "300 of at most 100 characters: remove 200. All rows are shown." in app.markdown[0].value
