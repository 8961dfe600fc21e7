"""The search of the filter bar."""

from __future__ import annotations

from app.components import filters


def test_a_row_matches_when_each_term_is_in_some_cell():
    row = {"player": "Nikola Jokić", "stage": "dropped at write", "rows": 25}
    assert filters.matches_search(row, [])
    assert filters.matches_search(row, ["jokić", "25"])
    assert not filters.matches_search(row, ["jokić", "murray"])
