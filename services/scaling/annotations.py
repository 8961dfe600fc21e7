"""What the service's own annotations say of its capacity: the normal numbers, who set it to what, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

ANNOTATION_NORMAL_MAX_INSTANCES, ANNOTATION_NORMAL_REVISION_MAX_INSTANCES, ANNOTATION_NORMAL_CONCURRENCY = (
    "on-call/normal-max-instances",
    "on-call/normal-revision-max-instances",
    "on-call/normal-concurrency",
)


ANNOTATION_SET_TO, ANNOTATION_SET_BY, ANNOTATION_REVERT_AT = "on-call/set-to", "on-call/set-by", "on-call/revert-at"


ALL_ANNOTATIONS = (
    ANNOTATION_NORMAL_MAX_INSTANCES,
    ANNOTATION_NORMAL_REVISION_MAX_INSTANCES,
    ANNOTATION_NORMAL_CONCURRENCY,
    ANNOTATION_SET_TO,
    ANNOTATION_SET_BY,
    ANNOTATION_REVERT_AT,
)


NOT_SET = "not set"


@dataclass(frozen=True)
class CapacitySetting:
    """The three numbers of a service. None: no maximum is set at that level."""

    max_service: int | None
    max_revision: int | None
    requests: int

    @property
    def instances(self) -> int | None:
        return min((m for m in (self.max_service, self.max_revision) if m), default=None)

    @property
    def capacity(self) -> int | None:
        return self.instances * self.requests if self.instances else None

    def __str__(self) -> str:
        return f"{self.instances or 'any'} × {self.requests}"


@dataclass(frozen=True)
class CapacityAnnotations:
    """What the service's own notes say: its normal numbers, to what it was set by whom, and when that ends."""

    normal: CapacitySetting | None
    set_to: CapacitySetting | None
    set_by: str
    revert_at: datetime | None


def parse_normal_setting(annotations: Mapping[str, str]) -> CapacitySetting | None:
    if ANNOTATION_NORMAL_CONCURRENCY not in annotations:
        return None
    return parse_setting(
        f"{annotations.get(ANNOTATION_NORMAL_MAX_INSTANCES, '')}/{annotations.get(ANNOTATION_NORMAL_REVISION_MAX_INSTANCES, '')}/{annotations[ANNOTATION_NORMAL_CONCURRENCY]}"
    )


def parse_setting(text: str) -> CapacitySetting | None:
    """Numbers from a note; a note that somebody mangled counts as none."""
    parts = text.split("/")
    if len(parts) != 3 or not parts[2].isdigit():
        return None
    max_service, max_revision = (int(part) if part.isdigit() else None for part in parts[:2])
    return CapacitySetting(max_service, max_revision, int(parts[2]))


def parse_revert_annotation(annotations: Mapping[str, str]) -> datetime | None:
    try:
        return datetime.fromisoformat(annotations.get(ANNOTATION_REVERT_AT, ""))
    except ValueError:
        return None


def format_maximum(value: int | None) -> str:
    return NOT_SET if value is None else str(value)
