"""A night's judgement names the first step before the predictions that failed, and only where it can be the cause."""

from __future__ import annotations

from dataclasses import replace

from services.core.result import Result
from services.judgement.inputs import judge_inputs
from services.judgement.players import judge_players
from services.nights.game_inputs import GameInputs
from tests.support.factories import NIGHT, make_night, make_player, make_write_error, player_without_rows
from tests.support.night_facts import SETTINGS, make_facts
from tests.support.phase_facts import DAY, TEAMS, at, make_count, make_counts, make_phases

FAILED = make_phases(context=make_counts(make_count(48, parts=TEAMS - {"LAL"})), features=make_counts(None))
BECAUSE = "because context is missing for 1 team since 11:05 ET"


def test_players_that_were_not_generated_are_missing_because_of_the_step():
    assert NIGHT == DAY
    missing = make_player(
        player_lookup="a", generated_rows=0, active_rows=0, recorded_rows=0, generation_error="no_features"
    )
    facts = make_facts(night=Result(make_night(missing, make_player(player_lookup="b"))), phases=FAILED)
    assert judge_players(facts, SETTINGS).sentence.endswith(BECAUSE)
    assert BECAUSE not in judge_players(replace(facts, phases=None), SETTINGS).sentence
    healthy = make_phases(context=make_counts(make_count()))
    assert "because" not in judge_players(replace(facts, phases=healthy), SETTINGS).sentence


def test_inputs_that_lack_a_team_are_short_because_of_the_step():
    games = (GameInputs(("BOS", "LAL"), (16, 0), 15), GameInputs(("MIA", "NYK"), (16, 16), 15))
    facts = make_facts(night=Result(make_night(make_player(), game_inputs=games)), phases=FAILED)
    statement = judge_inputs(facts, SETTINGS)
    assert statement.text == f"predictions short {BECAUSE}; no context for 1 team: LAL"
    assert (statement.since, statement.sentence.count("since")) == (at("11:05"), 1)
    assert "because" not in judge_inputs(replace(facts, phases=None), SETTINGS).text


def test_rejected_writes_stay_the_cause_whatever_a_step_lacks():
    rejected = player_without_rows(player_lookup="a", write_error=make_write_error())
    facts = make_facts(night=Result(make_night(rejected, make_player(player_lookup="b"))), phases=FAILED)
    assert "because" not in judge_players(facts, SETTINGS).sentence
