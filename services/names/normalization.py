"""How a name becomes a lookup: the customer's two rules and where they disagree; suffixes, name tokens and surnames."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

SUFFIXES = ("jr", "sr", "ii", "iii", "iv", "v")
_SUFFIX_WORDS = {"junior": "jr", "senior": "sr"}
_DOTLESS_I = str.maketrans({"ı": "i", "İ": "I"})


def normalize_odds_name(name: str | None) -> str | None:
    """The rule of the odds: lower case, marks dropped, letters and digits only, suffixes kept; None for an empty name."""
    if not name:
        return None
    return re.sub(r"[^a-z0-9]", "", _strip_diacritics(name.lower(), "NFD")) or None


@lru_cache(maxsize=32_768)  # validation and duplicate search normalize every registered name at each read
def normalize_registry_name(name: str | None) -> str:
    """The rule of the registry: as the other, but ı is i, Junior is jr, Senior is sr; "" for an empty name."""
    normalized = unicodedata.normalize("NFKC", name or "").translate(_DOTLESS_I)
    words = _strip_diacritics(normalized, "NFKD").casefold().split()
    canonical_words = [_SUFFIX_WORDS.get(re.sub(r"[^a-z]", "", word), word) for word in words]
    return re.sub(r"[^a-z0-9]", "", "".join(canonical_words))


def normalizations_differ(name: str | None) -> bool:
    """Whether the two rules give one name different lookups, so that odds and registry cannot match."""
    return (normalize_odds_name(name) or "") != normalize_registry_name(name)


def strip_suffix(lookup: str) -> str:
    """`garytrentjr` → `garytrent`. Only as a comparison: the lookups themselves keep their suffix."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if lookup.endswith(suffix) and len(lookup) > len(suffix) + 4:
            return lookup[: -len(suffix)]
    return lookup


def name_tokens(name: str) -> tuple[str, ...]:
    """First names and surname by the registry's rule, without a suffix."""
    tokens = tuple(filter(None, (normalize_registry_name(word) for word in name.split())))
    return tokens[:-1] if len(tokens) > 1 and tokens[-1] in SUFFIXES else tokens


@lru_cache(maxsize=20_000)
def surnames(name: str) -> tuple[str, ...]:
    """What may be the surname of a name, the longest first: it may have several words, and two writers may join or part them.

    Shai Gilgeous Alexander → gilgeousalexander, alexander; Nene → nene.
    """
    tokens = name_tokens(name)
    return tuple("".join(tokens[start:]) for start in range(min(1, len(tokens) - 1), len(tokens)) if tokens)


def _strip_diacritics(text: str, form: str) -> str:
    decomposed = unicodedata.normalize(form, text)  # type: ignore[arg-type]
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
