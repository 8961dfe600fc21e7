"""What the alias tables hold."""

from __future__ import annotations


def read_aliases(clients):
    rows = clients.bigquery.query(
        "SELECT * FROM nba_reference.player_aliases ORDER BY alias_lookup, nba_canonical_lookup"
    )
    return [dict(row) for row in rows.result()]


def read_registry_rows(clients):
    rows = clients.bigquery.query("SELECT * FROM nba_reference.nba_players_registry ORDER BY player_lookup, team_abbr")
    return [dict(row) for row in rows.result()]
