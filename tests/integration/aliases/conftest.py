"""Fixtures of the alias tests."""

from __future__ import annotations

import pytest


def read_aliases(clients):
    rows = clients.bigquery.query(
        "SELECT * FROM nba_reference.player_aliases ORDER BY alias_lookup, nba_canonical_lookup"
    )
    return [dict(row) for row in rows.result()]


def read_registry_rows(clients):
    rows = clients.bigquery.query("SELECT * FROM nba_reference.nba_players_registry ORDER BY player_lookup, team_abbr")
    return [dict(row) for row in rows.result()]


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
