"""Aliases and identities changed by a button: all or nothing is saved, nobody is overwritten, and everything can be taken back."""

from __future__ import annotations

import pytest

from services.actions.life import Refused, run_action
from services.actions.log import State
from services.foundation.access import Denied
from services.foundation.errors import BadInput
from services.names.book import read_book
from services.names.edits import Do, Edit, as_args, correct, parse, turn_round
from services.names.merging import MERGE_IDENTITIES, UNDO_MERGE
from services.names.saving import EDIT
from services.names.taking_back import UNDO_EDIT
from tests.actions.conftest import OPERATOR, VIEWER, at_once

MISSING = """kevinporterjr,kevinporter
timhardawayjr,timhardaway
wendellcarterjr,wendellcarter
nicolasclaxton,nicclaxton
alexsarr,alexandresarr
boneshyland,nahshonhyland"""


def table(desk):
    rows = desk.bigquery.query("SELECT * FROM nba_reference.player_aliases ORDER BY alias_lookup, nba_canonical_lookup")
    return [dict(row) for row in rows.result()]


def registry(desk):
    rows = desk.bigquery.query("SELECT * FROM nba_reference.nba_players_registry ORDER BY player_lookup, team_abbr")
    return [dict(row) for row in rows.result()]


def test_the_six_missing_and_the_one_turned_round_are_saved_together_and_taken_back_exactly(desk, do):
    before = table(desk)
    edits = (*parse(MISSING), *turn_round("robertwilliamsiii", "robertwilliams"))
    plan = EDIT.plan(desk, as_args(edits))
    anew = [change.what for change in plan.changes if change.before == "odds without a player"]
    assert [what for what in anew if what.startswith(("kevinporterjr", "robertwilliams"))] == [
        "kevinporterjr on 29 Dec",
        "robertwilliams on 29 Dec",
    ]
    assert not plan.blocked
    done = run_action(desk, OPERATOR, EDIT, plan, "names of 29 December", plan.typed)
    assert done.state is State.DONE, done.sentence
    active = read_book(desk).active
    assert active["boneshyland"] == {"nahshonhyland"}
    assert active["robertwilliams"] == {"robertwilliamsiii"}
    assert "robertwilliamsiii" not in active
    new = next(row for row in table(desk) if row["alias_lookup"] == "alexsarr")
    assert new["nba_canonical_display"] == "Alexandre Sarr"
    assert new["created_by"] == OPERATOR.name

    back = do(UNDO_EDIT, action_id=done.action_id)
    assert back.state is State.DONE, back.sentence
    assert table(desk) == before


def test_one_bad_alias_among_several_saves_none_of_them(desk, do, told):
    before = table(desk)
    edits = (*parse("kevinporterjr,kevinporter\nsomebody,nobodyatall"),)
    with pytest.raises(Refused, match="nobodyatall is not in the registry"):
        do(EDIT, **as_args(edits))
    assert table(desk) == before
    assert [action.state for action in told()] == [State.REFUSED]


def test_two_people_who_edit_the_same_alias_at_once_do_not_overwrite_each_other(desk, told):
    plans = [
        EDIT.plan(desk, as_args(correct("herbjones", "herbertjones", right)))
        for right in ("kevinporter", "timhardaway")
    ]
    results = at_once(*(lambda p=p: run_action(desk, OPERATOR, EDIT, p, "because", p.typed) for p in plans))
    ended = [getattr(result, "state", None) for result in results]
    assert ended.count(State.DONE) == 1, [str(result) for result in results]
    assert len(read_book(desk).active["herbjones"]) == 1
    done = next(result for result in results if getattr(result, "state", None) is State.DONE)
    assert (
        run_action(desk, OPERATOR, UNDO_EDIT, UNDO_EDIT.plan(desk, {"action_id": done.action_id})).state is State.DONE
    )
    assert read_book(desk).active["herbjones"] == {"herbertjones"}


def test_a_row_changed_since_is_not_taken_back(desk, do):
    done = do(EDIT, typed="herbjones", **as_args([Edit(Do.DEACTIVATE, "herbjones", "herbertjones")]))
    do(EDIT, typed="herbjones", **as_args([Edit(Do.ADD, "herbjones", "herbertjones")]))
    with pytest.raises(Refused, match="0 of 1 are as that action left them"):
        do(UNDO_EDIT, action_id=done.action_id)


def test_a_deactivated_alias_can_be_made_again(desk, do):
    edit = ("treymurphyiii", "treymurphy")
    assert do(EDIT, **as_args([Edit(Do.DEACTIVATE, *edit)])).state is State.DONE
    assert do(EDIT, typed="treymurphyiii", **as_args([Edit(Do.ADD, *edit)])).state is State.DONE
    assert len([row for row in table(desk) if row["alias_lookup"] == "treymurphyiii"]) == 1


def test_what_cannot_be_done_is_said(desk, do):
    with pytest.raises(Refused, match="is not there, so it cannot be deactivated"):
        do(EDIT, **as_args([Edit(Do.DEACTIVATE, "nosuch", "alias")]))
    with pytest.raises(Refused, match="is active already"):
        do(EDIT, **as_args([Edit(Do.ADD, "herbjones", "herbertjones")]))
    with pytest.raises(Refused, match="back to"):
        do(EDIT, **as_args([Edit(Do.ADD, "herbertjones", "herbjones")]))
    with pytest.raises(BadInput, match="could be taken back"):
        UNDO_EDIT.plan(desk, {"action_id": "nothing"})
    plan = EDIT.plan(desk, as_args([Edit(Do.ADD, "kevinporterjr", "kevinporter")]))
    with pytest.raises(Denied):
        run_action(desk, VIEWER, EDIT, plan)


def test_two_identities_are_made_one_and_two_again_with_the_registry_exactly_as_before(desk, do):
    before, aliases = registry(desk), table(desk)
    plan = MERGE_IDENTITIES.plan(desk, {"keep": "garytrent_001", "merge": "garytrentjr_001"})
    assert any("both are on MIL" in caution for caution in plan.cautions)
    with pytest.raises(Refused, match="has to be typed"):
        run_action(desk, OPERATOR, MERGE_IDENTITIES, plan, "one person", "yes")
    done = do(MERGE_IDENTITIES, typed="garytrentjr_001", keep="garytrent_001", merge="garytrentjr_001")
    assert done.state is State.DONE, done.sentence
    assert read_book(desk).ids("garytrentjr") == {"garytrent_001"}
    back = do(UNDO_MERGE, action_id=done.action_id)
    assert back.state is State.DONE, back.sentence
    assert registry(desk) == before
    assert table(desk) == aliases


def test_a_merge_adds_the_alias_and_the_separation_takes_it_away_again(desk, do):
    aliases = table(desk)
    ids = {"keep": "kevinporter_001", "merge": "timhardaway_001"}
    plan = MERGE_IDENTITIES.plan(desk, ids)
    assert any(caution.startswith("Against it: in 2025-26 they are on different teams") for caution in plan.cautions)
    done = run_action(desk, OPERATOR, MERGE_IDENTITIES, plan, "a mistake", "timhardaway_001")
    assert read_book(desk).active["timhardaway"] == {"kevinporter"}
    do(UNDO_MERGE, action_id=done.action_id)
    assert table(desk) == aliases


@pytest.mark.parametrize("args", [{}, {"keep": "garytrent_001"}, {"keep": "a", "merge": "b"}])
def test_identities_that_are_not_there_are_refused(desk, args):
    with pytest.raises(BadInput, match="not two identities"):
        MERGE_IDENTITIES.plan(desk, args)


def test_a_merge_that_stops_halfway_says_so_and_is_finished_by_the_same_plan_made_anew(desk, do, own_sandbox):
    ids = {"keep": "garytrent_001", "merge": "garytrentjr_001"}
    plan = MERGE_IDENTITIES.plan(desk, ids)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.names.merging._set_id", _stopped)
        half = run_action(desk, OPERATOR, MERGE_IDENTITIES, plan, "one person", "garytrentjr_001")
    assert half.state is State.FAILED
    assert "1 registry rows still say garytrentjr_001" in half.sentence
    done = do(MERGE_IDENTITIES, typed="garytrentjr_001", **ids)
    assert done.state is State.DONE, done.sentence
    assert do(UNDO_MERGE, action_id=done.action_id).state is State.DONE


def _stopped(*_):
    raise BadInput("The network went away.")
