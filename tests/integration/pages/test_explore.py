"""Explore counts what was chosen, says what it costs first, and keeps what cannot be counted to one sentence."""

from __future__ import annotations

import pytest

from services.gcp import query_catalog
from services.gcp.query_catalog import MIB


def test_the_rows_of_a_week_are_counted_by_date_and_system_with_their_cost_and_link(open_page):
    screen = open_page("explore", **{"from": "2025-12-23", "to": "2025-12-29"})
    assert "Predictions: 15,975 rows in 30 groups" in screen.verdict
    assert {row["rows"] for row in screen.table() if str(row["date"]) == "2025-12-29"} == {340}
    assert "Reads about 10 MiB" in screen.text
    assert any("Mon 29 Dec" in body and "1,700" in body for body in screen.html_bodies)
    link, command = (code.value for code in screen.app.code)
    assert link.endswith("/explore?count=predictions&by=date&by=system&from=2025-12-23&to=2025-12-29")
    assert command == "oncall count predictions --by date,system --from 2025-12-23 --to 2025-12-29"


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"from": "2025-12-29", "to": "2025-12-23"}, "before it begins"),
        ({"from": "2024-01-01"}, "at most 400 can be counted"),
        ({"of_player": "x" * 400}, "400 characters, of at most 100"),
        ({"of_system": "no such system"}, "is not the name of a system"),
        ({"of_system": "nosuchsystem"}, "No row is in this range"),
        ({"count": "bets", "by": "bets", "active": "perhaps"}, "Predictions: "),
    ],
)
def test_what_cannot_be_counted_is_one_sentence_and_foreign_values_are_dropped(open_page, params, text):
    screen = open_page("explore", **params)
    assert text in screen.text
    assert "bets" not in screen.app.query_params.get("by", [])


def test_a_dear_look_waits_for_its_button_and_one_beyond_the_limit_says_how_many_days_fit(open_page, monkeypatch):
    sizes = [400 * MIB]
    monkeypatch.setattr(query_catalog, "dry_run_bytes", lambda *_args, **_params: sizes[-1])
    screen = open_page("explore")
    assert "Reads about 400 MiB" in screen.text
    assert not screen.app.dataframe
    next(button for button in screen.app.button if button.label == "Count").click().run()
    assert screen.app.dataframe
    sizes.append(4096 * MIB)
    screen.app.get_by_key("by predictions").set_value(["date"]).run()
    assert "would read 4.0 GiB; the limit is 1.0 GiB (QUERY_LIMIT_MIB): choose at most 1 day." in screen.text
