"""What tables.insert and tables.patch say of a table, apart from its schema: labels and an expiration."""

from __future__ import annotations

from typing import Any

from services.sandbox.bigquery.labels import find_invalid_label

Resource = dict[str, Any]


def find_definition_problem(body: Resource, now_ms: int) -> str | None:
    """The sentence that refuses a table's labels or its expiration (epoch ms), or None. A label of null is removed."""
    expiration = body.get("expirationTime")
    if expiration and int(expiration) <= now_ms:
        return f"Invalid value for expirationTime: {expiration} is not in the future."
    return find_invalid_label({key: value or "" for key, value in (body.get("labels") or {}).items()})
