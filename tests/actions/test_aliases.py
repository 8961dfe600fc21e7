"""Aliases and identities changed by a button: all or nothing is saved, nobody is overwritten, and everything can be taken back."""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from services.actions.executor import ActionRefused, execute, recover
from services.actions.log_reader import ActionState
from services.aliases import preview
from services.aliases.edits import Edit, EditKind, parse, replace_canonical, reverse, to_params
from services.aliases.identities import merge, split
from services.aliases.identities.merge import MERGE_IDENTITIES, partial_merges
from services.aliases.identities.split import UNDO_MERGE
from services.aliases.save import EDIT_ALIASES, validate
from services.aliases.undo import UNDO_EDIT
from services.aliases.validation import Severity, find_violations, new_violations
from services.auth.roles import InsufficientRole
from services.core.errors import InvalidInput
from services.names.registry import NameRegistry, read_registry
from tests.actions.conftest import OPERATOR, VIEWER, run_concurrently

MISSING_ALIASES = """kevinporterjr,kevinporter
timhardawayjr,timhardaway
wendellcarterjr,wendellcarter
nicolasclaxton,nicclaxton
alexsarr,alexandresarr
boneshyland,nahshonhyland"""


def read_aliases(clients):
    rows = clients.bigquery.query(
        "SELECT * FROM nba_reference.player_aliases ORDER BY alias_lookup, nba_canonical_lookup"
    )
    return [dict(row) for row in rows.result()]


def read_registry_rows(clients):
    rows = clients.bigquery.query("SELECT * FROM nba_reference.nba_players_registry ORDER BY player_lookup, team_abbr")
    return [dict(row) for row in rows.result()]


def test_six_new_aliases_and_one_reversed_are_saved_together_and_undone_exactly(module_clients, plan_and_execute):
    before = read_aliases(module_clients)
    edits = (*parse(MISSING_ALIASES), *reverse("robertwilliamsiii", "robertwilliams"))
    plan = EDIT_ALIASES.plan(module_clients, to_params(edits))
    newly_covered = [change.what for change in plan.changes if change.before == "odds without a player"]
    assert [what for what in newly_covered if what.startswith(("kevinporterjr", "robertwilliams"))] == [
        "kevinporterjr on 29 Dec",
        "robertwilliams on 29 Dec",
    ]
    assert not plan.failed_guards
    saved_action = execute(module_clients, OPERATOR, EDIT_ALIASES, plan, "names of 29 December", plan.typed)
    assert saved_action.state is ActionState.DONE, saved_action.message
    active = read_registry(module_clients).active
    assert active["boneshyland"] == {"nahshonhyland"}
    assert active["robertwilliams"] == {"robertwilliamsiii"}
    assert "robertwilliamsiii" not in active
    new_row = next(row for row in read_aliases(module_clients) if row["alias_lookup"] == "alexsarr")
    assert new_row["nba_canonical_display"] == "Alexandre Sarr"
    assert new_row["created_by"] == OPERATOR.name

    undo_action = plan_and_execute(UNDO_EDIT, action_id=saved_action.action_id)
    assert undo_action.state is ActionState.DONE, undo_action.message
    assert read_aliases(module_clients) == before


def test_one_bad_alias_among_several_saves_none_of_them(module_clients, plan_and_execute, recorded_actions):
    before = read_aliases(module_clients)
    edits = (*parse("kevinporterjr,kevinporter\nsomebody,nobodyatall"),)
    with pytest.raises(ActionRefused, match="nobodyatall is not in the registry"):
        plan_and_execute(EDIT_ALIASES, **to_params(edits))
    assert read_aliases(module_clients) == before
    assert [action.state for action in recorded_actions()] == [ActionState.REFUSED]


def test_two_concurrent_edits_of_one_alias_do_not_overwrite_each_other(module_clients, recorded_actions):
    plans = [
        EDIT_ALIASES.plan(module_clients, to_params(replace_canonical("herbjones", "herbertjones", canonical)))
        for canonical in ("kevinporter", "timhardaway")
    ]
    results = run_concurrently(
        *(lambda p=p: execute(module_clients, OPERATOR, EDIT_ALIASES, p, "because", p.typed) for p in plans)
    )
    states = [getattr(result, "state", None) for result in results]
    assert states.count(ActionState.DONE) == 1, [str(result) for result in results]
    assert len(read_registry(module_clients).active["herbjones"]) == 1
    winner = next(result for result in results if getattr(result, "state", None) is ActionState.DONE)
    assert (
        execute(
            module_clients, OPERATOR, UNDO_EDIT, UNDO_EDIT.plan(module_clients, {"action_id": winner.action_id})
        ).state
        is ActionState.DONE
    )
    assert read_registry(module_clients).active["herbjones"] == {"herbertjones"}


def test_a_row_changed_later_is_not_undone(module_clients, plan_and_execute):
    saved_action = plan_and_execute(
        EDIT_ALIASES, typed="herbjones", **to_params([Edit(EditKind.DEACTIVATE, "herbjones", "herbertjones")])
    )
    plan_and_execute(EDIT_ALIASES, typed="herbjones", **to_params([Edit(EditKind.ADD, "herbjones", "herbertjones")]))
    with pytest.raises(ActionRefused, match="0 of 1 are as that action left them"):
        plan_and_execute(UNDO_EDIT, action_id=saved_action.action_id)


def test_a_deactivated_alias_can_be_added_again(module_clients, plan_and_execute):
    edit = ("treymurphyiii", "treymurphy")
    assert plan_and_execute(EDIT_ALIASES, **to_params([Edit(EditKind.DEACTIVATE, *edit)])).state is ActionState.DONE
    assert (
        plan_and_execute(EDIT_ALIASES, typed="treymurphyiii", **to_params([Edit(EditKind.ADD, *edit)])).state
        is ActionState.DONE
    )
    assert len([row for row in read_aliases(module_clients) if row["alias_lookup"] == "treymurphyiii"]) == 1


def test_impossible_edits_are_refused_with_a_message(module_clients, plan_and_execute):
    with pytest.raises(ActionRefused, match="is not there, so it cannot be deactivated"):
        plan_and_execute(EDIT_ALIASES, **to_params([Edit(EditKind.DEACTIVATE, "nosuch", "alias")]))
    with pytest.raises(ActionRefused, match="is active already"):
        plan_and_execute(EDIT_ALIASES, **to_params([Edit(EditKind.ADD, "herbjones", "herbertjones")]))
    with pytest.raises(ActionRefused, match="back to"):
        plan_and_execute(EDIT_ALIASES, **to_params([Edit(EditKind.ADD, "herbertjones", "herbjones")]))
    with pytest.raises(InvalidInput, match="could be taken back"):
        UNDO_EDIT.plan(module_clients, {"action_id": "nothing"})
    plan = EDIT_ALIASES.plan(module_clients, to_params([Edit(EditKind.ADD, "kevinporterjr", "kevinporter")]))
    with pytest.raises(InsufficientRole):
        execute(module_clients, VIEWER, EDIT_ALIASES, plan)


def test_merging_two_identities_and_undoing_it_restores_the_registry_exactly(module_clients, plan_and_execute):
    before, aliases = read_registry_rows(module_clients), read_aliases(module_clients)
    plan = MERGE_IDENTITIES.plan(module_clients, {"keep": "garytrent_001", "merge": "garytrentjr_001"})
    assert any("both are on MIL" in caution for caution in plan.cautions)
    with pytest.raises(ActionRefused, match="has to be typed"):
        execute(module_clients, OPERATOR, MERGE_IDENTITIES, plan, "one person", "yes")
    merge_action = plan_and_execute(
        MERGE_IDENTITIES, typed="garytrentjr_001", keep="garytrent_001", merge="garytrentjr_001"
    )
    assert merge_action.state is ActionState.DONE, merge_action.message
    assert read_registry(module_clients).player_ids("garytrentjr") == {"garytrent_001"}
    undo_action = plan_and_execute(UNDO_MERGE, action_id=merge_action.action_id)
    assert undo_action.state is ActionState.DONE, undo_action.message
    assert read_registry_rows(module_clients) == before
    assert read_aliases(module_clients) == aliases


def test_a_merge_adds_the_alias_and_its_undo_removes_it(module_clients, plan_and_execute):
    aliases = read_aliases(module_clients)
    ids = {"keep": "kevinporter_001", "merge": "timhardaway_001"}
    plan = MERGE_IDENTITIES.plan(module_clients, ids)
    assert any(caution.startswith("Against it: in 2025-26 they are on different teams") for caution in plan.cautions)
    merge_action = execute(module_clients, OPERATOR, MERGE_IDENTITIES, plan, "a mistake", "timhardaway_001")
    assert read_registry(module_clients).active["timhardaway"] == {"kevinporter"}
    plan_and_execute(UNDO_MERGE, action_id=merge_action.action_id)
    assert read_aliases(module_clients) == aliases


@pytest.mark.parametrize("args", [{}, {"keep": "garytrent_001"}, {"keep": "a", "merge": "b"}])
def test_unknown_identities_are_refused(module_clients, args):
    with pytest.raises(InvalidInput, match="not two identities"):
        MERGE_IDENTITIES.plan(module_clients, args)


class ProcessKilled(BaseException):
    """The process is gone: nobody catches this, and no outcome is recorded."""


def kill_at(monkeypatch, step, after=False):
    """Dies at a step of the merge, before it or after it."""
    module = split if step.startswith("back ") else merge
    name = step.removeprefix("back ")
    original = getattr(module, name)

    def die(*args):
        if after:
            original(*args)
        raise ProcessKilled

    monkeypatch.setattr(module, name, die)


DUPLICATE_IDS = {"keep": "kevinporter_001", "merge": "kevinporterjr_001"}


@pytest.fixture
def duplicate_identities(module_clients):
    """A second pair of twins, whose names no alias joins yet."""
    row = "('kevinporterjr_001', 'Kevin Porter Jr.', 'kevinporterjr', 'MIL', '2025-26', 3)"
    columns = "universal_player_id, player_name, player_lookup, team_abbr, season, games_played"
    module_clients.bigquery.query(f"INSERT nba_reference.nba_players_registry ({columns}) VALUES {row}").result()
    yield read_registry_rows(module_clients), read_aliases(module_clients)
    module_clients.bigquery.query(
        "DELETE FROM nba_reference.nba_players_registry WHERE player_lookup = 'kevinporterjr'"
    ).result()


@pytest.mark.parametrize(
    ("step", "after", "says"),
    [
        ("write_rows", False, "Nothing was changed"),
        ("reassign_player_id", False, "Half done: 1 registry rows still say kevinporterjr_001, 0 aliases are missing"),
        ("reassign_player_id", True, "1 registry rows now say kevinporter_001"),
    ],
)
def test_a_merge_killed_at_any_step_is_detected_completed_and_undone_exactly(
    module_clients, plan_and_execute, recorded_actions, duplicate_identities, monkeypatch, step, after, says
):
    plan = MERGE_IDENTITIES.plan(module_clients, DUPLICATE_IDS)
    with monkeypatch.context() as patch:
        kill_at(patch, step, after)
        with pytest.raises(ProcessKilled):
            execute(module_clients, OPERATOR, MERGE_IDENTITIES, plan, "one person", "kevinporterjr_001")
    (interrupted,) = recorded_actions()
    assert interrupted.ended_at is None
    partial_pair = ("kevinporter_001", "kevinporterjr_001")
    assert (partial_pair in partial_merges(read_registry(module_clients))) is (
        step == "reassign_player_id" and not after
    )
    assert says in recover(module_clients, MERGE_IDENTITIES, interrupted).message
    last_action = interrupted
    if not after:
        last_action = plan_and_execute(MERGE_IDENTITIES, typed="kevinporterjr_001", **DUPLICATE_IDS)
        assert last_action.state is ActionState.DONE, last_action.message
    assert read_registry(module_clients).player_ids("kevinporterjr") == {"kevinporter_001"}
    assert partial_merges(read_registry(module_clients)) == ()
    undo_action = plan_and_execute(UNDO_MERGE, action_id=last_action.action_id)
    assert undo_action.state is ActionState.DONE, undo_action.message
    assert (read_registry_rows(module_clients), read_aliases(module_clients)) == duplicate_identities


def test_a_partial_merge_can_be_undone_without_completing_it(
    module_clients, plan_and_execute, recorded_actions, duplicate_identities, monkeypatch
):
    plan = MERGE_IDENTITIES.plan(module_clients, DUPLICATE_IDS)
    with monkeypatch.context() as patch:
        patch.setattr(merge, "reassign_player_id", _raise_network_error)
        partial_merge = execute(module_clients, OPERATOR, MERGE_IDENTITIES, plan, "one person", "kevinporterjr_001")
    assert partial_merge.state is ActionState.FAILED
    assert "Half done" in partial_merge.message
    assert plan_and_execute(UNDO_MERGE, action_id=partial_merge.action_id).state is ActionState.DONE
    assert (read_registry_rows(module_clients), read_aliases(module_clients)) == duplicate_identities
    with pytest.raises(ActionRefused, match="0 registry rows and 0 aliases of it are there"):
        plan_and_execute(UNDO_MERGE, action_id=partial_merge.action_id)


@pytest.mark.parametrize(
    ("step", "after"),
    [("back reassign_player_id", False), ("back reassign_player_id", True), ("back write_rows", True)],
)
def test_an_undo_of_a_merge_killed_at_any_step_is_completed_by_a_retry(
    module_clients, plan_and_execute, recorded_actions, duplicate_identities, monkeypatch, step, after
):
    merge_action = plan_and_execute(MERGE_IDENTITIES, typed="kevinporterjr_001", **DUPLICATE_IDS)
    with monkeypatch.context() as patch:
        kill_at(patch, step, after)
        with pytest.raises(ProcessKilled):
            plan_and_execute(UNDO_MERGE, action_id=merge_action.action_id)
    interrupted = recorded_actions()[-1]
    recovered = recover(module_clients, UNDO_MERGE, interrupted)
    assert recovered.state is (ActionState.DONE if step == "back write_rows" else ActionState.FAILED), recovered.message
    if recovered.state is ActionState.FAILED:
        assert plan_and_execute(UNDO_MERGE, action_id=merge_action.action_id).state is ActionState.DONE
    assert (read_registry_rows(module_clients), read_aliases(module_clients)) == duplicate_identities


def test_undoing_a_merge_does_not_overwrite_a_later_alias_edit(module_clients, plan_and_execute, duplicate_identities):
    merge_action = plan_and_execute(MERGE_IDENTITIES, typed="kevinporterjr_001", **DUPLICATE_IDS)
    deactivation = plan_and_execute(
        EDIT_ALIASES, typed="kevinporterjr", **to_params([Edit(EditKind.DEACTIVATE, "kevinporterjr", "kevinporter")])
    )
    with pytest.raises(ActionRefused, match="was changed since: take that back first"):
        plan_and_execute(UNDO_MERGE, action_id=merge_action.action_id)
    assert plan_and_execute(UNDO_EDIT, action_id=deactivation.action_id).state is ActionState.DONE
    assert plan_and_execute(UNDO_MERGE, action_id=merge_action.action_id).state is ActionState.DONE
    assert (read_registry_rows(module_clients), read_aliases(module_clients)) == duplicate_identities


def test_a_merge_that_would_create_a_chain_or_ambiguous_rows_is_refused(
    module_clients, plan_and_execute, duplicate_identities
):
    saved_action = plan_and_execute(
        EDIT_ALIASES, typed="kporter", **to_params([Edit(EditKind.ADD, "kporter", "kevinporterjr")])
    )
    assert saved_action.state is ActionState.DONE, saved_action.message
    plan = MERGE_IDENTITIES.plan(module_clients, DUPLICATE_IDS)
    assert [guard.sentence for guard in plan.failed_guards] == [
        "kevinporterjr is an alias itself (kevinporter); only one hop is followed."
    ]
    plan_and_execute(UNDO_EDIT, action_id=saved_action.action_id)
    module_clients.bigquery.query(
        "UPDATE nba_reference.nba_players_registry SET player_lookup = 'kevinporter', universal_player_id = 'kevinporter_002'"
        " WHERE player_lookup = 'kevinporterjr'"
    ).result()
    plan = MERGE_IDENTITIES.plan(module_clients, {"keep": "kevinporter_001", "merge": "kevinporter_002"})
    assert any("stands under both identities" in guard.sentence for guard in plan.failed_guards)
    module_clients.bigquery.query(
        "UPDATE nba_reference.nba_players_registry SET player_lookup = 'kevinporterjr', universal_player_id = 'kevinporterjr_001'"
        " WHERE universal_player_id = 'kevinporter_002'"
    ).result()


def _raise_network_error(*_):
    raise InvalidInput("The network went away.")


# --- edits that meet each other ------------------------------------------------------------------------------------------------


def test_two_concurrent_edits_that_form_a_chain_are_not_both_accepted(
    module_clients, plan_and_execute, duplicate_identities, monkeypatch
):
    """Each plan is good by itself; both look, both are told yes, and both write."""
    before, plans = (
        read_aliases(module_clients),
        [EDIT_ALIASES.plan(module_clients, to_params([Edit(EditKind.ADD, *pair)])) for pair in CHAIN_EDITS],
    )
    assert not any(plan.failed_guards for plan in plans)
    monkeypatch.setattr("services.actions.executor._reasons_to_refuse", lambda *_: "")
    results = run_concurrently(
        *(lambda p=p: execute(module_clients, OPERATOR, EDIT_ALIASES, p, "because", p.typed) for p in plans)
    )
    states = [result.state for result in results]
    assert sorted(states) == [ActionState.DONE, ActionState.FAILED], [result.message for result in results]
    assert not [f for f in find_violations(read_registry(module_clients)) if f.check == "chain"]
    winner = next(result for result in results if result.state is ActionState.DONE)
    plan_and_execute(UNDO_EDIT, action_id=winner.action_id)
    assert read_aliases(module_clients) == before


CHAIN_EDITS = (("kporter", "kevinporterjr"), ("kevinporterjr", "kevinporter"))


def test_undo_never_creates_a_chain_from_two_valid_edits(module_clients, plan_and_execute, duplicate_identities):
    """An alias is switched off, and its canonical name made an alias since: together they would be a chain."""
    first_edit = plan_and_execute(EDIT_ALIASES, **to_params([Edit(EditKind.ADD, "kporter", "kevinporterjr")]))
    deactivation = plan_and_execute(EDIT_ALIASES, **to_params([Edit(EditKind.DEACTIVATE, "kporter", "kevinporterjr")]))
    second_edit = plan_and_execute(
        EDIT_ALIASES, typed="kevinporterjr", **to_params([Edit(EditKind.ADD, "kevinporterjr", "kevinporter")])
    )
    assert [a.state for a in (first_edit, deactivation, second_edit)] == [ActionState.DONE] * 3
    with pytest.raises(ActionRefused, match="only one hop is followed"):
        plan_and_execute(UNDO_EDIT, action_id=deactivation.action_id)
    for action in (second_edit, deactivation, first_edit):
        assert plan_and_execute(UNDO_EDIT, action_id=action.action_id).state is ActionState.DONE
    assert (read_registry_rows(module_clients), read_aliases(module_clients)) == duplicate_identities


def test_the_preview_counts_matches_in_context_even_for_a_registered_odds_name(module_clients):
    """garytrentjr is registered a second time, and still meets nobody: what counts is the context."""
    deactivation_plan = EDIT_ALIASES.plan(
        module_clients, to_params([Edit(EditKind.DEACTIVATE, "garytrentjr", "garytrent")])
    )
    assert not any("player" in change.before for change in deactivation_plan.changes)
    module_clients.bigquery.query(
        "UPDATE nba_reference.player_aliases SET is_active = FALSE WHERE alias_lookup = 'garytrentjr'"
    ).result()
    activation_plan = EDIT_ALIASES.plan(module_clients, to_params([Edit(EditKind.ADD, "garytrentjr", "garytrent")]))
    assert [c.what for c in activation_plan.changes if c.before == "odds without a player"] == ["garytrentjr on 29 Dec"]
    assert any("was switched off before" in caution for caution in activation_plan.cautions)
    module_clients.bigquery.query(
        "UPDATE nba_reference.player_aliases SET is_active = TRUE WHERE alias_lookup = 'garytrentjr'"
    ).result()


def test_a_canonical_player_without_that_game_gives_a_warning(module_clients):
    plan = EDIT_ALIASES.plan(
        module_clients, to_params([Edit(EditKind.ADD, "kevinporterjr", find_player_without_game(module_clients))])
    )
    assert any("was offered for 29 Dec, when" in caution and "did not play" in caution for caution in plan.cautions)


def find_player_without_game(clients):
    """A registered player whose team had no game on 29 December."""
    sql = (
        "SELECT MIN(player_lookup) AS name FROM nba_reference.nba_players_registry WHERE team_abbr NOT IN (SELECT DISTINCT"
        " team_abbr FROM nba_analytics.upcoming_player_game_context WHERE game_date = '2025-12-29')"
    )
    (row,) = clients.bigquery.query(sql).result()
    return row["name"]


def test_a_failed_preview_gives_a_warning_and_blocks_no_alias(module_clients, module_sandbox, monkeypatch):
    def raise_unreadable(*_, **__):
        raise InvalidInput("The odds cannot be read.")

    monkeypatch.setattr("services.aliases.preview.catalog.run_query", raise_unreadable)
    preview_result = preview.preview_coverage_gain(
        module_clients, NameRegistry((), ()), NameRegistry((), ()), module_clients.now()
    )
    assert preview_result.warnings == ("What it would cover is unknown: The odds cannot be read.",)


# --- any edits, any merge, taken back ------------------------------------------------------------------------------------------


ALIAS_NAMES = ("herbjones", "kevinporterjr", "trey", "alexsarr", "nicclaxton", "garytrentjr", "robertwilliams")
CANONICAL_NAMES = ("herbertjones", "kevinporter", "alexandresarr", "nicclaxton", "robertwilliamsiii", "garytrent")
PLAYER_IDS = ("garytrent_001", "garytrentjr_001", "kevinporter_001", "alexandresarr_001", "nicclaxton_001")


def draw_accepted_edits(book, rng):
    """Some edits that the checks let through, drawn until they do."""
    while True:
        candidates = [
            Edit(rng.choice(list(EditKind)), rng.choice(ALIAS_NAMES), rng.choice(CANONICAL_NAMES))
            for _ in range(rng.randint(1, 4))
        ]
        edits = tuple({(edit.alias, edit.canonical): edit for edit in candidates}.values())
        if validate(book, edits).accepted:
            return edits


@pytest.mark.parametrize("seed", range(3))
def test_accepted_edits_and_merges_that_are_undone_restore_both_tables_exactly(module_clients, seed):
    """Saves and a merge drawn at random, then taken back in reverse: the real statements on the real tables."""
    rng, before, completed = random.Random(seed), (read_registry_rows(module_clients), read_aliases(module_clients)), []
    for _ in range(2):
        book = read_registry(module_clients)
        plan = EDIT_ALIASES.plan(module_clients, to_params(draw_accepted_edits(book, rng)))
        completed.append((UNDO_EDIT, execute(module_clients, OPERATOR, EDIT_ALIASES, plan, "because", plan.typed)))
        assert not [f for f in new_violations(book, read_registry(module_clients)) if f.severity is Severity.ERROR]
    plans = (
        MERGE_IDENTITIES.plan(module_clients, {"keep": a, "merge": b})
        for a, b in rng.sample(list(permutations(PLAYER_IDS, 2)), 20)
    )
    plan = next(plan for plan in plans if not plan.failed_guards)
    completed.append((UNDO_MERGE, execute(module_clients, OPERATOR, MERGE_IDENTITIES, plan, "because", plan.typed)))
    assert [action.state for _, action in completed] == [ActionState.DONE] * 3, [
        action.message for _, action in completed
    ]
    for action_type, action in reversed(completed):
        undo_action = execute(
            module_clients, OPERATOR, action_type, action_type.plan(module_clients, {"action_id": action.action_id})
        )
        assert undo_action.state is ActionState.DONE, undo_action.message
    assert (read_registry_rows(module_clients), read_aliases(module_clients)) == before
