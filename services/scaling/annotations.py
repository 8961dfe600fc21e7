"""The capacity annotations of a Cloud Run service: normal values, who set it to what, until when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

ANNOTATION_NORMAL_MAX_INSTANCES = "on-call/normal-max-instances"
ANNOTATION_NORMAL_REVISION_MAX_INSTANCES = "on-call/normal-revision-max-instances"
ANNOTATION_NORMAL_CONCURRENCY = "on-call/normal-concurrency"
ANNOTATION_SET_TO = "on-call/set-to"
ANNOTATION_SET_BY = "on-call/set-by"
ANNOTATION_REVERT_AT = "on-call/revert-at"
ANNOTATION_RESTORED_TO = "on-call/restored-to"
ALL_ANNOTATIONS = (
    ANNOTATION_NORMAL_MAX_INSTANCES,
    ANNOTATION_NORMAL_REVISION_MAX_INSTANCES,
    ANNOTATION_NORMAL_CONCURRENCY,
    ANNOTATION_SET_TO,
    ANNOTATION_SET_BY,
    ANNOTATION_REVERT_AT,
    ANNOTATION_RESTORED_TO,
)
NOT_SET = "not set"
DEFAULT_MAX_INSTANCES = 100  # what Cloud Run fills in for a revision without a maximum


@dataclass(frozen=True)
class CapacitySetting:
    """The three numbers of a service: both maxima of instances, and requests per instance.

    None: no maximum is set. Cloud Run has no revision without one: it reports its default of 100.
    """

    max_service: int | None
    max_revision: int | None
    concurrency: int

    @property
    def instances(self) -> int | None:
        """The smaller of the two maxima, which is the one that counts; None when neither is set."""
        return min((m for m in (self.max_service, self.max_revision) if m), default=None)

    @property
    def capacity(self) -> int | None:
        """Concurrent requests; None when the instances have no maximum."""
        return self.instances * self.concurrency if self.instances else None

    @property
    def has_own_maximum(self) -> bool:
        """Whether somebody limited the instances: Cloud Run's default is far above the table's DML limit."""
        return bool(self.max_service) or self.max_revision not in (None, DEFAULT_MAX_INSTANCES)

    def __str__(self) -> str:
        return format_capacity(self.instances, self.concurrency)


@dataclass(frozen=True)
class CapacityAnnotations:
    """The annotations of one service, parsed. `normal` is there while it is scaled, `restored_to` after a restore."""

    normal: CapacitySetting | None = None
    set_to: CapacitySetting | None = None
    set_by: str = ""
    revert_at: datetime | None = None
    restored_to: CapacitySetting | None = None

    @property
    def recorded_normal(self) -> CapacitySetting | None:
        """The normal values that the service records, scaled or restored; None when it records none."""
        return self.normal or self.restored_to


def parse_annotations(annotations: Mapping[str, str]) -> CapacityAnnotations:
    """The capacity annotations among a service's own; one that cannot be parsed counts as none."""
    return CapacityAnnotations(
        normal=_parse_normal(annotations),
        set_to=_parse_setting(annotations.get(ANNOTATION_SET_TO, "")),
        set_by=annotations.get(ANNOTATION_SET_BY, ""),
        revert_at=_parse_time(annotations.get(ANNOTATION_REVERT_AT, "")),
        restored_to=_parse_setting(annotations.get(ANNOTATION_RESTORED_TO, "")),
    )


def annotations_for_change(
    normal: CapacitySetting, target: CapacitySetting, set_by: str, revert_at: str
) -> dict[str, str]:
    """The annotations beside a changed capacity; `revert_at` is an ISO time, or empty."""
    annotations = {
        ANNOTATION_NORMAL_MAX_INSTANCES: format_maximum(normal.max_service),
        ANNOTATION_NORMAL_REVISION_MAX_INSTANCES: format_maximum(normal.max_revision),
        ANNOTATION_NORMAL_CONCURRENCY: str(normal.concurrency),
        ANNOTATION_SET_TO: _format_setting(target),
        ANNOTATION_SET_BY: set_by,
    }
    return annotations | ({ANNOTATION_REVERT_AT: revert_at} if revert_at else {})


def annotations_for_restore(target: CapacitySetting) -> dict[str, str]:
    """The one annotation that a restore leaves: to which values, so that they are known as the normal ones."""
    return {ANNOTATION_RESTORED_TO: _format_setting(target)}


def format_maximum(value: int | None) -> str:
    return NOT_SET if value is None else str(value)


def format_capacity(instances: int | None, concurrency: int) -> str:
    return f"{instances or 'any'} × {concurrency}"


def _format_setting(setting: CapacitySetting) -> str:
    return f"{format_maximum(setting.max_service)}/{format_maximum(setting.max_revision)}/{setting.concurrency}"


def _parse_normal(annotations: Mapping[str, str]) -> CapacitySetting | None:
    if ANNOTATION_NORMAL_CONCURRENCY not in annotations:
        return None
    maxima = (ANNOTATION_NORMAL_MAX_INSTANCES, ANNOTATION_NORMAL_REVISION_MAX_INSTANCES)
    parts = [annotations.get(name, "") for name in (*maxima, ANNOTATION_NORMAL_CONCURRENCY)]
    return _parse_setting("/".join(parts))


def _parse_setting(text: str) -> CapacitySetting | None:
    parts = text.split("/")
    if len(parts) != 3 or not parts[2].isdigit():
        return None
    max_service, max_revision = (int(part) if part.isdigit() else None for part in parts[:2])
    return CapacitySetting(max_service, max_revision or DEFAULT_MAX_INSTANCES, int(parts[2]))


def _parse_time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
