"""What tables.insert and tables.patch say of a table: labels, an expiration and a schema, checked as BigQuery does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Resource = dict[str, Any]
MAX_LABEL_CHARS = 63


def find_definition_problem(body: Resource, now_ms: int) -> str | None:
    """The sentence that refuses a table's labels or its expiration (epoch ms), or None."""
    expiration = body.get("expirationTime")
    if expiration and int(expiration) <= now_ms:
        return f"Invalid value for expirationTime: {expiration} is not in the future."
    return find_label_problem(body.get("labels") or {})


def find_label_problem(labels: Mapping[str, str | None]) -> str | None:
    """The sentence that refuses a label, or None. A value of null removes a label."""
    for key, value in labels.items():
        if not key or not _is_label_text(key) or not (key[0].isalpha() and key[0] == key[0].lower()):
            return (
                f'Invalid label key "{key}": it must start with a lowercase letter and hold only lowercase letters,'
                f" digits, underscores and dashes, at most {MAX_LABEL_CHARS}."
            )
        if not _is_label_text(value or ""):
            return (
                f'Invalid label value "{value}": it may hold only lowercase letters, digits, underscores and dashes,'
                f" at most {MAX_LABEL_CHARS}."
            )
    return None


def _is_label_text(text: str) -> bool:
    return len(text) <= MAX_LABEL_CHARS and text == text.lower() and all(c.isalnum() or c in "_-" for c in text)
