"""The preview of an edit: which players would newly match their odds."""

from __future__ import annotations

from services.aliases import preview
from services.aliases.edits import Edit, EditKind, to_params
from services.aliases.save import EDIT_ALIASES
from services.core.errors import InvalidInput
from services.names.registry import NameRegistry


def test_the_preview_counts_matches_in_context_even_for_a_registered_odds_name(alias_clients):
    """garytrentjr is registered a second time, and still matches no player: only the context counts."""
    deactivation_plan = EDIT_ALIASES.plan(
        alias_clients, to_params([Edit(EditKind.DEACTIVATE, "garytrentjr", "garytrent")])
    )
    assert not any("player" in change.before for change in deactivation_plan.changes)
    alias_clients.bigquery.query(
        "UPDATE nba_reference.player_aliases SET is_active = FALSE WHERE alias_lookup = 'garytrentjr'"
    ).result()
    activation_plan = EDIT_ALIASES.plan(alias_clients, to_params([Edit(EditKind.ADD, "garytrentjr", "garytrent")]))
    assert [c.what for c in activation_plan.changes if c.before == "unmatched"] == ["garytrentjr, 29 Dec"]
    assert any("was deactivated on" in caution for caution in activation_plan.warnings)


def test_changes_that_the_preview_does_not_list_are_counted(alias_clients, monkeypatch):
    monkeypatch.setattr("services.aliases.preview.MAX_PREVIEW_ROWS", 0)
    edit = to_params([Edit(EditKind.DEACTIVATE, "garytrentjr", "garytrent")])
    assert not any("are listed" in guard.message for guard in EDIT_ALIASES.plan(alias_clients, edit).guards)
    alias_clients.bigquery.query(
        "UPDATE nba_reference.player_aliases SET is_active = FALSE WHERE alias_lookup = 'garytrentjr'"
    ).result()
    plan = EDIT_ALIASES.plan(alias_clients, to_params([Edit(EditKind.ADD, "garytrentjr", "garytrent")]))
    assert any(guard.message.endswith("The first 0 of 1 changes are listed.") for guard in plan.guards)


def test_a_canonical_player_without_that_game_gives_a_warning(alias_clients):
    plan = EDIT_ALIASES.plan(
        alias_clients, to_params([Edit(EditKind.ADD, "kevinporterjr", find_player_without_game(alias_clients))])
    )
    assert any("has odds for 29 Dec, when" in caution and "did not play" in caution for caution in plan.warnings)


def find_player_without_game(clients):
    """A registered player whose team had no game on 29 December."""
    sql = (
        "SELECT MIN(player_lookup) AS name FROM nba_reference.nba_players_registry WHERE team_abbr NOT IN (SELECT DISTINCT"
        " team_abbr FROM nba_analytics.upcoming_player_game_context WHERE game_date = '2025-12-29')"
    )
    (row,) = clients.bigquery.query(sql).result()
    return row["name"]


def test_a_failed_preview_gives_a_warning_and_blocks_no_alias(alias_clients, monkeypatch):
    def raise_unreadable(*_, **__):
        raise InvalidInput("The odds cannot be read.")

    monkeypatch.setattr("services.aliases.preview.read_unresolved_rows", raise_unreadable)
    preview_result = preview.preview_coverage_gain(
        alias_clients, NameRegistry((), ()), NameRegistry((), ()), alias_clients.now()
    )
    assert preview_result.warnings == ("What it would cover is unknown: The odds cannot be read.",)
