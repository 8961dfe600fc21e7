"""Counting the players of a night by stage."""

from __future__ import annotations

from services.nights.coverage import funnel
from services.nights.player_stages import Stage
from tests.support.factories import make_night, make_player
from tests.unit.policy.test_coverage_thresholds import SETTINGS


def test_the_funnel_is_unknown_for_a_stage_whose_source_failed():
    counts = funnel(make_night(make_player(generated_rows=None), make_player()), SETTINGS).players
    assert counts[Stage.GENERATED] is None
    assert counts[Stage.ACTIVE] == 2


def test_the_staged_stage_is_unknown_for_a_night_with_direct_writes():
    assert funnel(make_night(make_player(), make_player()), SETTINGS).players[Stage.STAGED] is None
