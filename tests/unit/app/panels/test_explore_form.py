"""The form of Explore: what is in the address and cannot be counted by is dropped, and a look that cannot be is one sentence."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

TONIGHT = date(2025, 12, 29)


def page(tonight):
    import streamlit as st

    from app.panels import explore_form

    st.session_state["look"] = explore_form.choose_look(tonight)


def open_form(**params: Any) -> AppTest:
    app = AppTest.from_function(page, kwargs={"tonight": TONIGHT}, default_timeout=20)
    for name, value in params.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def test_without_an_address_the_last_days_are_counted_by_date_and_system():
    look = open_form().session_state["look"]
    assert (look.subject.name, look.by, look.last, look.active) == ("predictions", ("date", "system"), TONIGHT, "")


def test_what_is_counted_by_comes_from_the_address_and_what_cannot_be_leaves_it():
    app = open_form(by=["nothing", "system"])
    assert app.session_state["look"].by == ("system",)
    assert app.query_params["by"] == "system"
    assert open_form(by=["bets"]).session_state["look"].by == ("date", "system")


def test_a_filter_is_trimmed_and_the_state_of_rows_is_part_of_the_look():
    look = open_form(of_system=" xgboost_v1 ", active="inactive").session_state["look"]
    assert (look.system, look.active) == ("xgboost_v1", "no")


@pytest.mark.parametrize(("params", "sentence"), [({"from": "2025-12-29", "to": "2025-12-23"}, "before it begins")])
def test_a_look_that_cannot_be_is_one_sentence_and_none(params, sentence):
    app = open_form(**params)
    assert app.session_state["look"] is None
    assert [sentence in error.value for error in app.error] == [True]
