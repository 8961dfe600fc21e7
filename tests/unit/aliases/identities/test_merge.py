"""Merging two identities: aliases and registry together, interrupted and finished, undone exactly."""

from __future__ import annotations

import pytest

from services.actions.executor import ActionRefused, execute, recover
from services.actions.log_reader import ActionState
from services.aliases.edits import Edit, EditKind, to_params
from services.aliases.identities import merge, split
from services.aliases.identities.merge import MERGE_IDENTITIES, partial_merges
from services.aliases.identities.split import UNDO_MERGE
from services.aliases.save import EDIT_ALIASES
from services.aliases.undo import UNDO_EDIT
from services.core.errors import InvalidInput
from services.names.registry import read_registry
from tests.support.actors import OPERATOR
from tests.unit.aliases.conftest import read_aliases, read_registry_rows


def test_merging_two_identities_and_undoing_it_restores_the_registry_exactly(alias_clients, plan_and_execute):
    before, aliases = read_registry_rows(alias_clients), read_aliases(alias_clients)
    plan = MERGE_IDENTITIES.plan(alias_clients, {"keep": "garytrent_001", "merge": "garytrentjr_001"})
    assert any("both on MIL" in text for text in plan.evidence)
    with pytest.raises(ActionRefused, match="must be typed"):
        execute(alias_clients, OPERATOR, MERGE_IDENTITIES, plan, "one person", "yes")
    merge_action = plan_and_execute(
        MERGE_IDENTITIES, typed="garytrentjr_001", keep="garytrent_001", merge="garytrentjr_001"
    )
    assert merge_action.state is ActionState.DONE, merge_action.message
    assert read_registry(alias_clients).player_ids("garytrentjr") == {"garytrent_001"}
    undo_action = plan_and_execute(UNDO_MERGE, action_id=merge_action.action_id)
    assert undo_action.state is ActionState.DONE, undo_action.message
    assert read_registry_rows(alias_clients) == before
    assert read_aliases(alias_clients) == aliases


def test_a_merge_adds_the_alias_and_its_undo_removes_it(alias_clients, plan_and_execute):
    aliases = read_aliases(alias_clients)
    ids = {"keep": "kevinporter_001", "merge": "timhardaway_001"}
    plan = MERGE_IDENTITIES.plan(alias_clients, ids)
    assert any(caution.startswith("Evidence against: on different teams in 2025-26") for caution in plan.warnings)
    merge_action = execute(alias_clients, OPERATOR, MERGE_IDENTITIES, plan, "a mistake", "timhardaway_001")
    assert read_registry(alias_clients).active["timhardaway"] == {"kevinporter"}
    plan_and_execute(UNDO_MERGE, action_id=merge_action.action_id)
    assert read_aliases(alias_clients) == aliases


@pytest.mark.parametrize("args", [{}, {"keep": "garytrent_001"}, {"keep": "a", "merge": "b"}])
def test_unknown_identities_are_refused(alias_clients, args):
    with pytest.raises(InvalidInput, match="not two registered player ids"):
        MERGE_IDENTITIES.plan(alias_clients, args)


class ProcessKilled(BaseException):
    """The process dies: no handler catches this, and no outcome is recorded."""


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


@pytest.mark.parametrize(
    ("step", "after", "expected_message"),
    [
        ("write_rows", False, "Nothing changed"),
        (
            "reassign_player_id",
            False,
            "Incomplete: 1 registry rows still reference kevinporterjr_001, 0 aliases are missing",
        ),
        ("reassign_player_id", True, "1 registry rows now reference kevinporter_001"),
    ],
)
def test_a_merge_killed_at_any_step_is_detected_completed_and_undone_exactly(
    alias_clients, plan_and_execute, recorded_actions, duplicate_identities, monkeypatch, step, after, expected_message
):
    plan = MERGE_IDENTITIES.plan(alias_clients, DUPLICATE_IDS)
    with monkeypatch.context() as patch:
        kill_at(patch, step, after)
        with pytest.raises(ProcessKilled):
            execute(alias_clients, OPERATOR, MERGE_IDENTITIES, plan, "one person", "kevinporterjr_001")
    (interrupted,) = recorded_actions()
    assert interrupted.ended_at is None
    partial_pair = ("kevinporter_001", "kevinporterjr_001")
    assert (partial_pair in partial_merges(read_registry(alias_clients))) is (
        step == "reassign_player_id" and not after
    )
    assert expected_message in recover(alias_clients, MERGE_IDENTITIES, interrupted).message
    last_action = interrupted
    if not after:
        last_action = plan_and_execute(MERGE_IDENTITIES, typed="kevinporterjr_001", **DUPLICATE_IDS)
        assert last_action.state is ActionState.DONE, last_action.message
    assert read_registry(alias_clients).player_ids("kevinporterjr") == {"kevinporter_001"}
    assert partial_merges(read_registry(alias_clients)) == ()
    undo_action = plan_and_execute(UNDO_MERGE, action_id=last_action.action_id)
    assert undo_action.state is ActionState.DONE, undo_action.message
    assert (read_registry_rows(alias_clients), read_aliases(alias_clients)) == duplicate_identities


def test_a_partial_merge_can_be_undone_without_completing_it(
    alias_clients, plan_and_execute, recorded_actions, duplicate_identities, monkeypatch
):
    plan = MERGE_IDENTITIES.plan(alias_clients, DUPLICATE_IDS)
    with monkeypatch.context() as patch:
        patch.setattr(merge, "reassign_player_id", _raise_network_error)
        partial_merge = execute(alias_clients, OPERATOR, MERGE_IDENTITIES, plan, "one person", "kevinporterjr_001")
    assert partial_merge.state is ActionState.FAILED
    assert "Incomplete" in partial_merge.message
    assert plan_and_execute(UNDO_MERGE, action_id=partial_merge.action_id).state is ActionState.DONE
    assert (read_registry_rows(alias_clients), read_aliases(alias_clients)) == duplicate_identities
    with pytest.raises(ActionRefused, match="0 registry rows and 0 aliases of it are there"):
        plan_and_execute(UNDO_MERGE, action_id=partial_merge.action_id)


@pytest.mark.parametrize(
    ("step", "after"),
    [("back reassign_player_id", False), ("back reassign_player_id", True), ("back write_rows", True)],
)
def test_an_undo_of_a_merge_killed_at_any_step_is_completed_by_a_retry(
    alias_clients, plan_and_execute, recorded_actions, duplicate_identities, monkeypatch, step, after
):
    merge_action = plan_and_execute(MERGE_IDENTITIES, typed="kevinporterjr_001", **DUPLICATE_IDS)
    with monkeypatch.context() as patch:
        kill_at(patch, step, after)
        with pytest.raises(ProcessKilled):
            plan_and_execute(UNDO_MERGE, action_id=merge_action.action_id)
    interrupted = recorded_actions()[-1]
    recovered = recover(alias_clients, UNDO_MERGE, interrupted)
    assert recovered.state is (ActionState.DONE if step == "back write_rows" else ActionState.FAILED), recovered.message
    if recovered.state is ActionState.FAILED:
        assert plan_and_execute(UNDO_MERGE, action_id=merge_action.action_id).state is ActionState.DONE
    assert (read_registry_rows(alias_clients), read_aliases(alias_clients)) == duplicate_identities


def test_undoing_a_merge_does_not_overwrite_a_later_alias_edit(alias_clients, plan_and_execute, duplicate_identities):
    merge_action = plan_and_execute(MERGE_IDENTITIES, typed="kevinporterjr_001", **DUPLICATE_IDS)
    deactivation = plan_and_execute(
        EDIT_ALIASES, typed="kevinporterjr", **to_params([Edit(EditKind.DEACTIVATE, "kevinporterjr", "kevinporter")])
    )
    with pytest.raises(ActionRefused, match="changed since: undo that change first"):
        plan_and_execute(UNDO_MERGE, action_id=merge_action.action_id)
    assert plan_and_execute(UNDO_EDIT, action_id=deactivation.action_id).state is ActionState.DONE
    assert plan_and_execute(UNDO_MERGE, action_id=merge_action.action_id).state is ActionState.DONE
    assert (read_registry_rows(alias_clients), read_aliases(alias_clients)) == duplicate_identities


def test_a_merge_that_would_create_a_chain_or_ambiguous_rows_is_refused(
    alias_clients, plan_and_execute, duplicate_identities
):
    saved_action = plan_and_execute(
        EDIT_ALIASES, typed="kporter", **to_params([Edit(EditKind.ADD, "kporter", "kevinporterjr")])
    )
    assert saved_action.state is ActionState.DONE, saved_action.message
    plan = MERGE_IDENTITIES.plan(alias_clients, DUPLICATE_IDS)
    assert [guard.message for guard in plan.failed_guards] == [
        "kevinporterjr is itself an alias of kevinporter; chained aliases aren't resolved."
    ]
    plan_and_execute(UNDO_EDIT, action_id=saved_action.action_id)
    alias_clients.bigquery.query(
        "UPDATE nba_reference.nba_players_registry SET player_lookup = 'kevinporter', universal_player_id = 'kevinporter_002'"
        " WHERE player_lookup = 'kevinporterjr'"
    ).result()
    plan = MERGE_IDENTITIES.plan(alias_clients, {"keep": "kevinporter_001", "merge": "kevinporter_002"})
    assert any("is registered under both ids" in guard.message for guard in plan.failed_guards)


def _raise_network_error(*_):
    raise InvalidInput("The network went away.")
