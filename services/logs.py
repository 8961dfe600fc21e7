"""Log lines of the prediction services: both payload kinds, both spellings, each line once, severity from its text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.foundation.clients import Cloud
from services.foundation.reading import Source


@dataclass(frozen=True)
class LogLine:
    """One line. `repeats` counts identical lines of the same second that were folded into it."""

    at: datetime
    service: str
    revision: str
    severity: str
    message: str
    insert_id: str
    repeats: int = 1


@dataclass(frozen=True)
class Lines:
    lines: tuple[LogLine, ...]
    source: Source
    truncated: bool = False


def read_lines(cloud: Cloud, condition: str, start: datetime, end: datetime, limit: int = 1000) -> Lines:
    """Lines matching a Logging filter between two instants; raises OnCallError when Logging does not answer."""
    raise NotImplementedError
