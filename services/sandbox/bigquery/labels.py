"""Labels of jobs and tables: lower-case letters, digits, underscores and dashes, as BigQuery requires."""

from __future__ import annotations

import re
from collections.abc import Mapping

_KEY = re.compile(r"[^\W\d_][\w-]{0,62}")  # letters of any alphabet count
_VALUE = re.compile(r"[\w-]{0,63}")


def find_invalid_label(labels: Mapping[str, str]) -> str | None:
    """BigQuery's message about the first label it refuses, or None."""
    for key, value in labels.items():
        for kind, text, allowed in (("key", key, _KEY), ("value", value, _VALUE)):
            if text != text.lower() or not allowed.fullmatch(text):
                return f'Label {kind} "{text}" has invalid characters.'
    return None
