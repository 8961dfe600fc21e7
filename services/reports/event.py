"""One thing that happened: a mark on the timeline of a night, a row in the list of events, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.core.result import Health

BATCHES, REJECTED, SCALED, ALERTS, ACTIONS = LANES = (
    "Batches",
    "Rejected writes",
    "Config changes",
    "Alerts",
    "Actions",
)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened, at an instant or from `at` until `ended`.

    An event with a `lane` is a mark on the timeline of its night; one with a `kind` is a row in the list. Most are both.
    """

    at: datetime
    ended: datetime | None = None
    actor: str = ""
    lane: str = ""  # one of LANES
    label: str = ""  # two or three words next to the mark
    message: str = ""  # the mark's sentence, actor included
    health: Health = Health.NONE_EXPECTED
    count: int = 1  # rejected writes of that minute
    kind: str = ""  # alert, notification, action, note, config change, batch, deploy
    summary: str = ""  # the list's sentence, beside kind and actor
    page: str = ""  # in pages/, where it is shown in full
    params: Mapping[str, str] = field(default_factory=dict)  # of that page's address
