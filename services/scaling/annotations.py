"""What the service's own annotations say of its capacity: the normal numbers, who set it to what, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

NORMAL_MAX, NORMAL_REVISION_MAX, NORMAL_REQUESTS = (
    "on-call/normal-max-instances",
    "on-call/normal-revision-max-instances",
    "on-call/normal-concurrency",
)


SET_TO, SET_BY, REVERT_AT = "on-call/set-to", "on-call/set-by", "on-call/revert-at"


_NOTES = (NORMAL_MAX, NORMAL_REVISION_MAX, NORMAL_REQUESTS, SET_TO, SET_BY, REVERT_AT)


_NOT_SET = "not set"


@dataclass(frozen=True)
class Setting:
    """The three numbers of a service. None: no maximum is set at that level."""

    max_service: int | None
    max_revision: int | None
    requests: int

    @property
    def instances(self) -> int | None:
        return min((m for m in (self.max_service, self.max_revision) if m), default=None)

    @property
    def product(self) -> int | None:
        return self.instances * self.requests if self.instances else None

    def __str__(self) -> str:
        return f"{self.instances or 'any'} × {self.requests}"


@dataclass(frozen=True)
class Noted:
    """What the service's own notes say: its normal numbers, to what it was set by whom, and when that ends."""

    normal: Setting | None
    set_to: Setting | None
    set_by: str
    revert_at: datetime | None


def _normal(notes: Mapping[str, str]) -> Setting | None:
    if NORMAL_REQUESTS not in notes:
        return None
    return _setting(f"{notes.get(NORMAL_MAX, '')}/{notes.get(NORMAL_REVISION_MAX, '')}/{notes[NORMAL_REQUESTS]}")


def _setting(text: str) -> Setting | None:
    """Numbers from a note; a note that somebody mangled counts as none."""
    parts = text.split("/")
    if len(parts) != 3 or not parts[2].isdigit():
        return None
    first, second = (int(part) if part.isdigit() else None for part in parts[:2])
    return Setting(first, second, int(parts[2]))


def _instant(notes: Mapping[str, str]) -> datetime | None:
    try:
        return datetime.fromisoformat(notes.get(REVERT_AT, ""))
    except ValueError:
        return None


def _number(value: int | None) -> str:
    return _NOT_SET if value is None else str(value)
