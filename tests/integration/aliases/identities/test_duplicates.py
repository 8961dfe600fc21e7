"""Duplicate identities in the sandbox's registry."""

from __future__ import annotations

from services.aliases.identities.duplicates import find_duplicates
from services.names.registry import read_registry


def test_the_duplicate_identities_are_found_with_their_evidence(clients):
    (twins, *_) = find_duplicates(read_registry(clients))
    assert {twins.keep, twins.merge} == {"garytrent_001", "garytrentjr_001"}
    assert "both on MIL in 2025-26" in twins.evidence_for
