"""Duplicate identities: which pairs look like one person, and the evidence for and against."""

from __future__ import annotations

from services.aliases.identities.duplicates import DuplicateCandidate, find_duplicates
from services.names.registry import Alias, NameRegistry
from tests.support.registry_factories import make_registry_row


def test_a_father_and_his_son_are_not_likely_duplicates():
    rows = (
        make_registry_row("timhardaway", "Tim Hardaway", "MIA", "1998-99", jersey=10, position="G", games=900),
        make_registry_row("timhardawayjr", "Tim Hardaway Jr.", "DEN", "2025-26", jersey=11, position="G", games=30),
    )
    (twins,) = find_duplicates(NameRegistry((), rows))
    assert not twins.is_likely
    assert "no season in common (could be father and son)" in twins.evidence_against


def test_two_ids_with_one_jersey_and_surname_are_duplicate_candidates():
    rows = (
        make_registry_row("nicclaxton", "Nic Claxton", "BKN", jersey=33),
        make_registry_row("nicolasclaxton", "Nicolas Claxton", "BKN", jersey=33),
        make_registry_row("otherclaxton", "Other Claxton", "BKN", jersey=4),
    )
    (twins,) = find_duplicates(NameRegistry((), rows))
    assert {twins.keep, twins.merge} == {"nicclaxton_001", "nicolasclaxton_001"}
    assert "jersey 33 and 33" in twins.evidence_for


TRENT, TRENT_JR = ("garytrent", "Gary Trent"), ("garytrentjr", "Gary Trent Jr.")


def test_the_identity_with_more_games_is_kept_and_all_evidence_is_named():
    rows = (
        make_registry_row(*TRENT, "MIL", "2024-25", jersey=5, position="G", games=3),
        make_registry_row(*TRENT, "MIL", "2025-26", jersey=6, position="F"),
        make_registry_row(*TRENT_JR, "MIL", "2025-26", jersey=6, position="G", games=4),
    )
    aliases = (Alias("garytrent", "garytrentjr", active=True),)
    assert find_duplicates(NameRegistry(aliases, rows)) == (
        DuplicateCandidate(
            keep="garytrentjr_001",
            merge="garytrent_001",
            evidence_for=(
                "both on MIL in 2025-26",
                "jersey 5/6 and 6",
                "position F/G and G",
                "the alias garytrent → garytrentjr is active",
            ),
            evidence_against=(),
        ),
    )


def test_with_equal_games_the_one_with_more_aliases_is_kept_and_then_the_first_name():
    rows = (make_registry_row(*TRENT, "MIL"), make_registry_row(*TRENT_JR, "MIL"))
    (candidate,) = find_duplicates(NameRegistry((), rows))
    assert (candidate.keep, candidate.merge) == ("garytrent_001", "garytrentjr_001")
    aliases = (Alias("gtrentjr", "garytrentjr", active=True), Alias("gt", "garytrentjr", active=False))
    (candidate,) = find_duplicates(NameRegistry(aliases, rows))
    assert (candidate.keep, candidate.merge) == ("garytrentjr_001", "garytrent_001")


def test_another_team_of_the_same_season_another_jersey_and_position_speak_against_it():
    rows = (
        make_registry_row(*TRENT, "MIL", jersey=5, position="G"),
        make_registry_row(*TRENT_JR, "BOS", jersey=6, position="F"),
    )
    (candidate,) = find_duplicates(NameRegistry((), rows))
    assert candidate.evidence_for == ()
    assert candidate.evidence_against == (
        "on different teams in 2025-26",
        "jersey 5 and 6",
        "position G and F",
    )
    assert not candidate.is_likely


def test_pairs_come_from_suffixes_shirts_and_aliases_and_from_nothing_else_the_likeliest_first():
    rows = (
        make_registry_row("herbertjones", "Herbert Jones", "NOP", jersey=2),
        make_registry_row("herbjones", "Herb Jones", "BOS", jersey=5),
        make_registry_row("carljones", "Carl Jones", "BOS", jersey=6),
        make_registry_row("samejones", "Same Jones", "BOS", "2024-25", jersey=5),
        make_registry_row("noid", "No Id Jones", "BOS", player_id="x", jersey=5),
        make_registry_row(*TRENT, "MIL"),
        make_registry_row(*TRENT_JR, "MIL"),
        make_registry_row("garytrentjr", "Gary Trent Jr.", "MIL", player_id=None),
    )
    aliases = (Alias("herbjones", "herbertjones", active=True), Alias("carljones", "samejones", active=False))
    found = find_duplicates(NameRegistry(aliases, rows))
    assert [{c.keep, c.merge} for c in found] == [
        {"herbjones_001", "x"},
        {"garytrent_001", "garytrentjr_001"},
        {"herbertjones_001", "herbjones_001"},
    ]
    assert [c.is_likely for c in found] == [True, True, False]
