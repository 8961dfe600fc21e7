"""Resolution in Python: one hop, never a chain, a cycle or an ambiguous alias."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.names.resolver import Resolution, ResolutionMethod, resolve
from tests.unit.names.test_normalization import SHORT_NAMES


@given(SHORT_NAMES, st.sets(SHORT_NAMES), st.dictionaries(SHORT_NAMES, st.sets(SHORT_NAMES, min_size=1, max_size=2)))
def test_a_name_resolves_to_a_known_player_in_one_hop_or_not_at_all(name, known_lookups, aliases):
    resolution = resolve(name, known_lookups, aliases)
    assert resolution.lookup is None or resolution.lookup in known_lookups
    if resolution.method is ResolutionMethod.ALIAS:
        assert resolution.lookup in aliases[name]
        assert name not in known_lookups


def test_chains_cycles_self_maps_and_double_canonicals_do_not_resolve():
    aliases = {"a": {"b"}, "b": {"a"}, "c": {"c"}, "d": {"x", "y"}, "e": {"a"}}
    for name in aliases:
        assert resolve(name, {"x", "y"}, aliases) == Resolution(ResolutionMethod.UNRESOLVED, None)
