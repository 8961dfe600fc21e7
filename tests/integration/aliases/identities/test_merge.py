"""Merging two identities and undoing it, by the real statements on the real tables."""

from __future__ import annotations

from services.actions.log_reader import ActionState
from services.aliases.identities.merge import MERGE_IDENTITIES
from services.aliases.identities.split import UNDO_MERGE
from services.names.registry import read_registry
from tests.integration.aliases.conftest import read_aliases, read_registry_rows


def test_merging_two_identities_and_undoing_it_restores_both_tables_exactly(module_clients, plan_and_execute):
    before, aliases = read_registry_rows(module_clients), read_aliases(module_clients)
    ids = {"keep": "kevinporter_001", "merge": "timhardaway_001"}
    merge_action = plan_and_execute(MERGE_IDENTITIES, typed="timhardaway_001", **ids)
    assert merge_action.state is ActionState.DONE, merge_action.message
    registry = read_registry(module_clients)
    assert registry.player_ids("timhardaway") == {"kevinporter_001"}
    assert registry.active["timhardaway"] == {"kevinporter"}
    undo_action = plan_and_execute(UNDO_MERGE, action_id=merge_action.action_id)
    assert undo_action.state is ActionState.DONE, undo_action.message
    assert read_registry_rows(module_clients) == before
    assert read_aliases(module_clients) == aliases
