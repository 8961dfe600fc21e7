"""Filters of a page and their query parameters."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("page", "address", "left"),
    [
        ("missing_players", {"missing_find": "herb"}, 1),
        ("missing_players", {"missing_kind": "write rejected"}, 90),
        ("missing_players", {"missing_kind": "nonsense"}, 105),
        ("staging_tables", {"staging_kind": "already merged"}, 6),
        ("dml_errors", {"dml_rejected": "false"}, 158),
        ("dml_errors", {"dml_rejected": "perhaps"}, 90),
        ("logs", {"search": "Failed players"}, 90),
    ],
)
def test_a_filter_link_opens_filtered_and_invalid_values_are_ignored(open_page, page, address, left):
    screen = open_page(page, **address)
    shown = (
        [row for row in screen.losses if row["reason"] != "ineligible"] if page == "missing_players" else screen.table()
    )
    assert len(shown) == left


def test_selecting_a_filter_sets_the_query_parameter_and_clearing_it_removes_it(open_page):
    screen = open_page("staging_tables")
    pills = screen.app.get_by_key("staging_kind")
    pills.set_value(["already merged"]).run()
    assert screen.app.query_params["staging_kind"] == "already merged"
    screen.app.get_by_key("staging_kind").set_value([]).run()
    assert "staging_kind" not in screen.app.query_params
