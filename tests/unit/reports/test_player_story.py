"""A player's steps: what was reached with its numbers, the step that dropped the player last, and nothing after it."""

from __future__ import annotations

import pytest

from services.batches.reader import Batches
from services.nights.player_stages import Stage
from services.reports.player_story import PlayerStory, StepState, build_story, find_players
from tests.support.alert_factories import STARTED, make_batch, make_rejected_players
from tests.support.factories import NOW, make_night, make_player, make_write_error, player_without_rows


def tell(player, *others) -> PlayerStory:
    return build_story(player, make_night(player, *others), Batches((make_batch(),), ()))


def states(story: PlayerStory) -> dict[str, str]:
    return {str(step.stage): str(step.state) for step in story.steps}


def test_a_rejected_player_has_every_step_up_to_the_write_with_its_log_line():
    player = player_without_rows(write_error=make_write_error())
    story = tell(player, *make_rejected_players(89))
    assert states(story) == {
        "with odds": "reached",
        "in context": "reached",
        "requested": "reached",
        "generated": "reached",
        "staged": "not used",
        "written": "dropped here",
        "active": "not reached",
    }
    written = next(step for step in story.steps if step.stage is Stage.WRITTEN)
    assert written.log_line.startswith("400 Resources exceeded")
    assert written.at == make_write_error().at
    assert story.similar == 89
    requested = next(step for step in story.steps if step.stage is Stage.REQUESTED)
    assert (requested.number, requested.text) == ("1 of 158", "batch_2025-12-29_1767037620, started by scheduler")


def test_an_active_player_has_reached_every_step():
    story = tell(make_player())
    assert story.missing is None
    assert [step.number for step in story.steps][-2:] == ["25 rows", "25 rows"]
    assert StepState.DROPPED not in {step.state for step in story.steps}


@pytest.mark.parametrize(
    ("changes", "dropped"),
    [
        ({"in_context": False, "eligible": None}, Stage.IN_CONTEXT),
        ({"eligible": False, "not_eligible_reason": "OUT"}, Stage.IN_CONTEXT),
        ({"requested": False, "generated_rows": 0}, Stage.REQUESTED),
        ({"generated_rows": 0, "generation_error": "no_features"}, Stage.GENERATED),
        ({"staged_rows": 25, "staging_table": "d._staging_x"}, Stage.WRITTEN),
        ({"written_rows": 25, "superseded": True}, Stage.ACTIVE),
        ({}, Stage.WRITTEN),
    ],
)
def test_exactly_one_step_drops_a_player_and_those_after_it_are_not_reached(changes, dropped):
    steps = tell(player_without_rows(**changes)).steps
    (index,) = [n for n, step in enumerate(steps) if step.state is StepState.DROPPED]
    assert steps[index].stage is dropped
    assert {step.state for step in steps[index + 1 :]} <= {StepState.NOT_REACHED}


def test_what_could_not_be_read_is_unknown():
    story = tell(make_player(has_odds=None, staged_rows=None, generated_rows=None))
    assert {name for name, state in states(story).items() if state == "unknown"} == {"with odds", "staged", "generated"}


def test_two_players_of_one_lookup_key_are_both_found():
    twins = make_night(make_player(), make_player(team="NYK"))
    assert len(find_players(twins, "herbertjones")) == 2
    assert find_players(twins, "nobody") == ()


def test_the_steps_have_the_times_that_are_known():
    player = make_player(generated_at=NOW, staged_rows=25, staging_table="d._staging_batch_x", staged_at=STARTED)
    times = {str(step.stage): step.at for step in tell(player).steps}
    assert (times["generated"], times["staged"], times["written"]) == (NOW, STARTED, None)
    assert {str(step.stage): step.at for step in tell(make_player()).steps}["generated"] is None
