"""Duplicate identities: which pairs look like one person, and the evidence for and against."""

from __future__ import annotations

from services.aliases.identities.duplicates import find_duplicates
from services.names.registry import NameRegistry
from tests.support.registry_factories import make_registry_row


def test_a_father_and_his_son_are_not_likely_duplicates():
    rows = (
        make_registry_row("timhardaway", "Tim Hardaway", "MIA", "1998-99", jersey=10, position="G", games=900),
        make_registry_row("timhardawayjr", "Tim Hardaway Jr.", "DEN", "2025-26", jersey=11, position="G", games=30),
    )
    (twins,) = find_duplicates(NameRegistry((), rows))
    assert not twins.is_likely
    assert "they have no season in common, as a father and his son" in twins.evidence_against


def test_two_ids_with_one_jersey_and_surname_are_duplicate_candidates():
    rows = (
        make_registry_row("nicclaxton", "Nic Claxton", "BKN", jersey=33),
        make_registry_row("nicolasclaxton", "Nicolas Claxton", "BKN", jersey=33),
        make_registry_row("otherclaxton", "Other Claxton", "BKN", jersey=4),
    )
    (twins,) = find_duplicates(NameRegistry((), rows))
    assert {twins.keep, twins.merge} == {"nicclaxton_001", "nicolasclaxton_001"}
    assert "jersey 33 and 33" in twins.evidence_for
