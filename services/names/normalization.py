"""How a name becomes a lookup: the customer's two rules, and where they disagree; suffixes and surnames beside them."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

SUFFIXES = ("jr", "sr", "ii", "iii", "iv", "v")
_WORDS = {"junior": "jr", "senior": "sr"}
_TURKISH = str.maketrans({"ı": "i", "İ": "I"})


def raw_lookup(name: str | None) -> str | None:
    """The rule of the odds: lower case, marks dropped, letters and digits only, suffixes kept; nothing stays None."""
    if not name:
        return None
    return re.sub(r"[^a-z0-9]", "", _without_marks(name.lower(), "NFD")) or None


@lru_cache(maxsize=32_768)  # the checks and twins ask for every name of the registry at each look
def shared_lookup(name: str | None) -> str:
    """The rule of the registry: as the other, but ı is i, Junior is jr, Senior is sr; nothing is the empty text."""
    plain = unicodedata.normalize("NFKC", name or "").translate(_TURKISH)
    words = _without_marks(plain, "NFKD").casefold().split()
    told = [_WORDS.get(re.sub(r"[^a-z]", "", word), word) for word in words]
    return re.sub(r"[^a-z0-9]", "", "".join(told))


def disagree(name: str | None) -> bool:
    """Whether the two rules make different lookups of one name, so that odds and registry cannot meet."""
    return (raw_lookup(name) or "") != shared_lookup(name)


def without_suffix(lookup: str) -> str:
    """`garytrentjr` → `garytrent`. Only as a comparison: the lookups themselves keep their suffix."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if lookup.endswith(suffix) and len(lookup) > len(suffix) + 4:
            return lookup[: -len(suffix)]
    return lookup


def words_of(name: str) -> tuple[str, ...]:
    """First names and surname as the shared rule reads them, without a suffix."""
    words = tuple(filter(None, (shared_lookup(word) for word in name.split())))
    return words[:-1] if len(words) > 1 and words[-1] in SUFFIXES else words


@lru_cache(maxsize=20_000)
def surname(name: str) -> str:
    words = words_of(name)
    return words[-1] if words else ""


def _without_marks(text: str, form: str) -> str:
    spread = unicodedata.normalize(form, text)  # type: ignore[arg-type]
    return "".join(letter for letter in spread if not unicodedata.combining(letter))
