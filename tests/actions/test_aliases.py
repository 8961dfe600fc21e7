"""Aliases and identities changed by a button: all or nothing is saved, nobody is overwritten, and everything can be taken back."""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from services.actions.executor import Refused, finish, run_action
from services.actions.log_reader import State
from services.aliases import preview
from services.aliases.edits import Do, Edit, as_args, correct, parse, turn_round
from services.aliases.identities import merge as merging
from services.aliases.identities import split as separating
from services.aliases.identities.merge import MERGE_IDENTITIES, stopped_halfway
from services.aliases.identities.split import UNDO_MERGE
from services.aliases.save import EDIT, judge
from services.aliases.undo import UNDO_EDIT
from services.aliases.validation import Weight, check, made_worse
from services.auth.roles import Denied
from services.core.errors import BadInput
from services.names.registry import Book, read_book
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


class Killed(BaseException):
    """The process is gone: nobody catches this, and no outcome is recorded."""


def killed_at(monkeypatch, step, after=False):
    """Dies at a step of the merge, before it or after it."""
    module = separating if step.startswith("back ") else merging
    name = step.removeprefix("back ")
    real = getattr(module, name)

    def die(*args):
        if after:
            real(*args)
        raise Killed

    monkeypatch.setattr(module, name, die)


TWINS = {"keep": "kevinporter_001", "merge": "kevinporterjr_001"}


@pytest.fixture
def twins(desk):
    """A second pair of twins, whose names no alias joins yet."""
    row = "('kevinporterjr_001', 'Kevin Porter Jr.', 'kevinporterjr', 'MIL', '2025-26', 3)"
    columns = "universal_player_id, player_name, player_lookup, team_abbr, season, games_played"
    desk.bigquery.query(f"INSERT nba_reference.nba_players_registry ({columns}) VALUES {row}").result()
    yield registry(desk), table(desk)
    desk.bigquery.query("DELETE FROM nba_reference.nba_players_registry WHERE player_lookup = 'kevinporterjr'").result()


@pytest.mark.parametrize(
    ("step", "after", "says"),
    [
        ("write", False, "Nothing was changed"),
        ("set_id", False, "Half done: 1 registry rows still say kevinporterjr_001, 0 aliases are missing"),
        ("set_id", True, "1 registry rows now say kevinporter_001"),
    ],
)
def test_a_merge_killed_at_any_step_is_seen_finished_and_taken_back_exactly(
    desk, do, told, twins, monkeypatch, step, after, says
):
    plan = MERGE_IDENTITIES.plan(desk, TWINS)
    with monkeypatch.context() as patch:
        killed_at(patch, step, after)
        with pytest.raises(Killed):
            run_action(desk, OPERATOR, MERGE_IDENTITIES, plan, "one person", "kevinporterjr_001")
    (broken,) = told()
    assert broken.ended is None
    half = ("kevinporter_001", "kevinporterjr_001")
    assert (half in stopped_halfway(read_book(desk))) is (step == "set_id" and not after)
    assert says in finish(desk, MERGE_IDENTITIES, broken).sentence
    last = broken
    if not after:
        last = do(MERGE_IDENTITIES, typed="kevinporterjr_001", **TWINS)
        assert last.state is State.DONE, last.sentence
    assert read_book(desk).ids("kevinporterjr") == {"kevinporter_001"}
    assert stopped_halfway(read_book(desk)) == ()
    back = do(UNDO_MERGE, action_id=last.action_id)
    assert back.state is State.DONE, back.sentence
    assert (registry(desk), table(desk)) == twins


def test_a_half_merge_can_be_taken_back_without_being_finished(desk, do, told, twins, monkeypatch):
    plan = MERGE_IDENTITIES.plan(desk, TWINS)
    with monkeypatch.context() as patch:
        patch.setattr(merging, "set_id", _stopped)
        half = run_action(desk, OPERATOR, MERGE_IDENTITIES, plan, "one person", "kevinporterjr_001")
    assert half.state is State.FAILED
    assert "Half done" in half.sentence
    assert do(UNDO_MERGE, action_id=half.action_id).state is State.DONE
    assert (registry(desk), table(desk)) == twins
    with pytest.raises(Refused, match="0 registry rows and 0 aliases of it are there"):
        do(UNDO_MERGE, action_id=half.action_id)


@pytest.mark.parametrize(("step", "after"), [("back set_id", False), ("back set_id", True), ("back write", True)])
def test_a_separation_killed_at_any_step_is_finished_by_asking_again(desk, do, told, twins, monkeypatch, step, after):
    done = do(MERGE_IDENTITIES, typed="kevinporterjr_001", **TWINS)
    with monkeypatch.context() as patch:
        killed_at(patch, step, after)
        with pytest.raises(Killed):
            do(UNDO_MERGE, action_id=done.action_id)
    broken = told()[-1]
    verdict = finish(desk, UNDO_MERGE, broken)
    assert verdict.state is (State.DONE if step == "back write" else State.FAILED), verdict.sentence
    if verdict.state is State.FAILED:
        assert do(UNDO_MERGE, action_id=done.action_id).state is State.DONE
    assert (registry(desk), table(desk)) == twins


def test_an_alias_that_somebody_changed_after_the_merge_is_not_taken_back_over_them(desk, do, twins):
    done = do(MERGE_IDENTITIES, typed="kevinporterjr_001", **TWINS)
    off = do(EDIT, typed="kevinporterjr", **as_args([Edit(Do.DEACTIVATE, "kevinporterjr", "kevinporter")]))
    with pytest.raises(Refused, match="was changed since: take that back first"):
        do(UNDO_MERGE, action_id=done.action_id)
    assert do(UNDO_EDIT, action_id=off.action_id).state is State.DONE
    assert do(UNDO_MERGE, action_id=done.action_id).state is State.DONE
    assert (registry(desk), table(desk)) == twins


def test_a_merge_that_would_leave_a_chain_or_rows_nobody_can_tell_apart_is_refused(desk, do, twins):
    saved = do(EDIT, typed="kporter", **as_args([Edit(Do.ADD, "kporter", "kevinporterjr")]))
    assert saved.state is State.DONE, saved.sentence
    plan = MERGE_IDENTITIES.plan(desk, TWINS)
    assert [guard.sentence for guard in plan.blocked] == [
        "kevinporterjr is an alias itself (kevinporter); only one hop is followed."
    ]
    do(UNDO_EDIT, action_id=saved.action_id)
    desk.bigquery.query(
        "UPDATE nba_reference.nba_players_registry SET player_lookup = 'kevinporter', universal_player_id = 'kevinporter_002'"
        " WHERE player_lookup = 'kevinporterjr'"
    ).result()
    plan = MERGE_IDENTITIES.plan(desk, {"keep": "kevinporter_001", "merge": "kevinporter_002"})
    assert any("stands under both identities" in guard.sentence for guard in plan.blocked)
    desk.bigquery.query(
        "UPDATE nba_reference.nba_players_registry SET player_lookup = 'kevinporterjr', universal_player_id = 'kevinporterjr_001'"
        " WHERE universal_player_id = 'kevinporter_002'"
    ).result()


def _stopped(*_):
    raise BadInput("The network went away.")


# --- edits that meet each other ------------------------------------------------------------------------------------------------


def test_two_people_whose_aliases_would_make_a_chain_together_are_not_both_let_through(desk, do, twins, monkeypatch):
    """Each plan is good by itself; both look, both are told yes, and both write."""
    before, plans = table(desk), [EDIT.plan(desk, as_args([Edit(Do.ADD, *pair)])) for pair in CHAIN]
    assert not any(plan.blocked for plan in plans)
    monkeypatch.setattr("services.actions.executor._why_not", lambda *_: "")
    results = at_once(*(lambda p=p: run_action(desk, OPERATOR, EDIT, p, "because", p.typed) for p in plans))
    states = [result.state for result in results]
    assert sorted(states) == [State.DONE, State.FAILED], [result.sentence for result in results]
    assert not [f for f in check(read_book(desk)) if f.check == "chain"]
    done = next(result for result in results if result.state is State.DONE)
    do(UNDO_EDIT, action_id=done.action_id)
    assert table(desk) == before


CHAIN = (("kporter", "kevinporterjr"), ("kevinporterjr", "kevinporter"))


def test_taking_back_never_makes_a_chain_out_of_two_good_edits(desk, do, twins):
    """An alias is switched off, and its canonical name made an alias since: together they would be a chain."""
    first = do(EDIT, **as_args([Edit(Do.ADD, "kporter", "kevinporterjr")]))
    off = do(EDIT, **as_args([Edit(Do.DEACTIVATE, "kporter", "kevinporterjr")]))
    then = do(EDIT, typed="kevinporterjr", **as_args([Edit(Do.ADD, "kevinporterjr", "kevinporter")]))
    assert [a.state for a in (first, off, then)] == [State.DONE] * 3
    with pytest.raises(Refused, match="only one hop is followed"):
        do(UNDO_EDIT, action_id=off.action_id)
    for action in (then, off, first):
        assert do(UNDO_EDIT, action_id=action.action_id).state is State.DONE
    assert (registry(desk), table(desk)) == twins


def test_the_preview_tells_who_is_met_even_where_the_odds_name_is_registered_too(desk):
    """garytrentjr is registered a second time, and still meets nobody: what counts is the context."""
    off = EDIT.plan(desk, as_args([Edit(Do.DEACTIVATE, "garytrentjr", "garytrent")]))
    assert not any("player" in change.before for change in off.changes)
    desk.bigquery.query(
        "UPDATE nba_reference.player_aliases SET is_active = FALSE WHERE alias_lookup = 'garytrentjr'"
    ).result()
    on = EDIT.plan(desk, as_args([Edit(Do.ADD, "garytrentjr", "garytrent")]))
    assert [c.what for c in on.changes if c.before == "odds without a player"] == ["garytrentjr on 29 Dec"]
    assert any("was switched off before" in caution for caution in on.cautions)
    desk.bigquery.query(
        "UPDATE nba_reference.player_aliases SET is_active = TRUE WHERE alias_lookup = 'garytrentjr'"
    ).result()


def test_a_canonical_player_who_did_not_play_that_game_is_a_caution(desk):
    plan = EDIT.plan(desk, as_args([Edit(Do.ADD, "kevinporterjr", elsewhere(desk))]))
    assert any("was offered for 29 Dec, when" in caution and "did not play" in caution for caution in plan.cautions)


def elsewhere(desk):
    """A registered player whose team had no game on 29 December."""
    sql = (
        "SELECT MIN(player_lookup) AS name FROM nba_reference.nba_players_registry WHERE team_abbr NOT IN (SELECT DISTINCT"
        " team_abbr FROM nba_analytics.upcoming_player_game_context WHERE game_date = '2025-12-29')"
    )
    (row,) = desk.bigquery.query(sql).result()
    return row["name"]


def test_what_cannot_be_previewed_is_said_and_stops_no_alias(desk, own_sandbox, monkeypatch):
    def unreadable(*_, **__):
        raise BadInput("The odds cannot be read.")

    monkeypatch.setattr("services.aliases.preview.catalog.run", unreadable)
    anew = preview.covered_anew(desk, Book((), ()), Book((), ()), desk.now())
    assert anew.cautions == ("What it would cover is unknown: The odds cannot be read.",)


# --- any edits, any merge, taken back ------------------------------------------------------------------------------------------


SOME = ("herbjones", "kevinporterjr", "trey", "alexsarr", "nicclaxton", "garytrentjr", "robertwilliams")
KNOWN = ("herbertjones", "kevinporter", "alexandresarr", "nicclaxton", "robertwilliamsiii", "garytrent")
IDS = ("garytrent_001", "garytrentjr_001", "kevinporter_001", "alexandresarr_001", "nicclaxton_001")


def accepted(book, rng):
    """Some edits that the checks let through, drawn until they do."""
    while True:
        drawn = [Edit(rng.choice(list(Do)), rng.choice(SOME), rng.choice(KNOWN)) for _ in range(rng.randint(1, 4))]
        edits = tuple({(edit.alias, edit.canonical): edit for edit in drawn}.values())
        if judge(book, edits).accepted:
            return edits


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_accepted_and_then_taken_back_leaves_both_tables_exactly_as_they_were(desk, seed):
    """Saves and a merge drawn at random, then taken back in reverse: the real statements on the real tables."""
    rng, before, done = random.Random(seed), (registry(desk), table(desk)), []
    for _ in range(2):
        book = read_book(desk)
        plan = EDIT.plan(desk, as_args(accepted(book, rng)))
        done.append((UNDO_EDIT, run_action(desk, OPERATOR, EDIT, plan, "because", plan.typed)))
        assert not [f for f in made_worse(book, read_book(desk)) if f.weight is Weight.ERROR]
    plans = (
        MERGE_IDENTITIES.plan(desk, {"keep": a, "merge": b}) for a, b in rng.sample(list(permutations(IDS, 2)), 20)
    )
    plan = next(plan for plan in plans if not plan.blocked)
    done.append((UNDO_MERGE, run_action(desk, OPERATOR, MERGE_IDENTITIES, plan, "because", plan.typed)))
    assert [action.state for _, action in done] == [State.DONE] * 3, [action.sentence for _, action in done]
    for verb, action in reversed(done):
        back = run_action(desk, OPERATOR, verb, verb.plan(desk, {"action_id": action.action_id}))
        assert back.state is State.DONE, back.sentence
    assert (registry(desk), table(desk)) == before
