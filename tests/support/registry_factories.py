"""A small name registry for tests: seven players with one season each, and the aliases a test asks for."""

from __future__ import annotations

from services.names.registry import Alias, NameRegistry, RegistryRow

PLAYERS = {
    "stephencurry": "Stephen Curry",
    "sethcurry": "Seth Curry",
    "herbertjones": "Herbert Jones",
    "garytrent": "Gary Trent",
    "garytrentjr": "Gary Trent Jr.",
    "lebronjames": "LeBron James",
    "zionwilliamson": "Zion Williamson",
}


def make_registry_row(lookup, name, team="MIL", season="2025-26", player_id=None, **fields):
    return RegistryRow(player_id or f"{lookup}_001", name, lookup, team, season, **fields)


def make_registry(*pairs, people=PLAYERS):
    rows = tuple(make_registry_row(lookup, name) for lookup, name in people.items())
    return NameRegistry(tuple(Alias(alias, canonical, active=True) for alias, canonical in pairs), rows)
