"""Unresolved names of the sandbox's nights, with their suggestions and statuses."""

from __future__ import annotations

from datetime import date

from services.aliases.unresolved import read_names


def test_a_single_night_matches_the_range_query(clients):
    night, several = date(2025, 12, 29), date(2025, 12, 28)
    single, ranged = read_names(clients, night, night), read_names(clients, several, night)
    assert single.resolution_counts.by_date[night] == ranged.resolution_counts.by_date[night]
    assert {u.lookup for u in single.unresolved} == {u.lookup for u in ranged.unresolved if night in u.dates}
    assert all(
        u.status_by_date[night] == v.status_by_date[night]
        for u in single.unresolved
        for v in ranged.unresolved
        if u.lookup == v.lookup and night in u.status_by_date and u.likely_lookup == v.likely_lookup
    )
    assert sum(source.bytes_billed for source in single.sources) == 0
