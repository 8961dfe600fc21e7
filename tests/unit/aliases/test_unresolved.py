"""Unresolved names of 29 December, with their suggestions and statuses."""

from __future__ import annotations

from datetime import date

from services.aliases.unresolved import NameGroup, read_names


def test_the_15_names_of_29_december_are_ranked_and_injured_players_cost_nothing(alias_clients):
    read = read_names(alias_clients, date(2025, 12, 29), date(2025, 12, 29))
    name_by_lookup = {unresolved_name.lookup: unresolved_name for unresolved_name in read.unresolved}
    assert len(name_by_lookup) == 15
    assert sum(bool(unresolved_name.alias_canonical) for unresolved_name in read.unresolved) == 7
    assert (name_by_lookup["jimmybutler"].nights_lost, name_by_lookup["jimmybutler"].group) == (0, NameGroup.OUT)
    assert [len(read.in_group(group)) for group in NameGroup] == [5, 6, 4]
    needed = [(name.lookup, name.max_predictions_lost) for name in read.in_group(NameGroup.NEEDS_ALIAS)]
    assert ("boneshyland", 25) in needed
    assert read.unresolved[-1].nights_lost == 0
    expected = {
        "kevinporterjr": "kevinporter",
        "timhardawayjr": "timhardaway",
        "wendellcarterjr": "wendellcarter",
        "nicolasclaxton": "nicclaxton",
        "alexsarr": "alexandresarr",
        "boneshyland": "nahshonhyland",
        "robertwilliams": "robertwilliamsiii",
    }
    assert {lookup: name_by_lookup[lookup].suggestions[0].lookup for lookup in expected} == expected


def test_a_single_night_matches_the_range_query(alias_clients):
    night, several = date(2025, 12, 29), date(2025, 12, 28)
    single, ranged = read_names(alias_clients, night, night), read_names(alias_clients, several, night)
    assert single.resolution_counts.by_date[night] == ranged.resolution_counts.by_date[night]
    assert {u.lookup for u in single.unresolved} == {u.lookup for u in ranged.unresolved if night in u.dates}
    assert all(
        u.status_by_date[night] == v.status_by_date[night]
        for u in single.unresolved
        for v in ranged.unresolved
        if u.lookup == v.lookup and night in u.status_by_date and u.likely_lookup == v.likely_lookup
    )
