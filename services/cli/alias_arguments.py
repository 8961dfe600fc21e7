"""What is typed after `oncall do edit-aliases` and `reject-match`, as the arguments of their actions."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.actions.plan import Params
from services.aliases.edits import Edit, EditKind, parse_lines, to_params
from services.core.errors import InvalidInput
from services.gcp.clients import Clients

MAX_FILE_BYTES = 64 * 1024  # of a file of alias lines: 200 edits have 20 kB


def alias_args(_clients: Clients, typed: Mapping[str, Any]) -> Params:
    """The arguments of an alias edit, from --add, --deactivate and --file."""
    edits = [Edit(EditKind.DEACTIVATE, *_parse_pair(text)) for text in typed["deactivate"]]
    edits += _parse_additions("--add", "\n".join(",".join(_parse_pair(text)) for text in typed["add"]))
    if typed["file"]:
        edits += _parse_additions(typed["file"], _read_text(typed["file"]))
    return to_params(edits)


def rejection_args(_clients: Clients, typed: Mapping[str, Any]) -> Params:
    """The arguments of a rejected match: the two names, and why."""
    return {**to_params([Edit(EditKind.DEACTIVATE, typed["alias"], typed["canonical"])]), "why": typed["reason"]}


def _parse_additions(source: str, text: str) -> tuple[Edit, ...]:
    """The additions of all lines; raises InvalidInput with the first line that is none."""
    lines = parse_lines(text)
    for number, problem in lines.problems.items():
        raise InvalidInput(f"{source}, line {number}: {problem}", "Nothing was changed.")
    return tuple(lines.edits.values())


def _parse_pair(text: str) -> tuple[str, str]:
    alias, _, canonical = (part.strip() for part in text.partition("="))
    if not alias or not canonical:
        raise InvalidInput(f"{text[:80]!r} is not ALIAS=CANONICAL.", "Write it as herbjones=herbertjones.")
    return alias, canonical


def _read_text(name: str) -> str:
    """A file's text, of standard input for "-"; raises InvalidInput for what cannot be lines of names."""
    try:
        content = sys.stdin.buffer.read(MAX_FILE_BYTES + 1) if name == "-" else Path(name).read_bytes()
        if len(content) > MAX_FILE_BYTES:
            raise InvalidInput(f"{name} has more than {MAX_FILE_BYTES:,} bytes.", "Save the aliases in parts.")
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{name} cannot be read as text: {error}.", "One alias,canonical a line, in UTF-8."
        ) from None
