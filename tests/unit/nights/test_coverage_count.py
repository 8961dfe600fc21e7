"""Coverage counts the eligible players with active predictions, and no others."""

from __future__ import annotations

from dataclasses import replace

from services.actions.plan import CoverageCount
from services.nights.coverage_count import count_coverage, format_coverage
from tests.support.alert_factories import make_night, make_players


def test_only_eligible_players_count():
    players = make_players(3)
    night = make_night(players[0], replace(players[1], active_rows=0), replace(players[2], eligible=False))
    assert count_coverage(night) == CoverageCount(1, 2)
    assert format_coverage(count_coverage(night)) == "1 of 2 eligible players are active"


def test_a_night_without_eligible_players_has_no_coverage():
    assert count_coverage(make_night()) is None
    assert format_coverage(None) == "nobody is eligible"
