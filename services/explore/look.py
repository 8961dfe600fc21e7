"""One look at a table: what is counted, by what, over which dates, and which rows; checked before anything is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from services.core.clock import night_window
from services.core.errors import InvalidInput
from services.explore.subjects import Subject
from services.names.normalization import normalize_odds_name

DEFAULT_DAYS, MAX_DAYS = 7, 400
MAX_BY, MAX_TEXT = 3, 100
_SYSTEM_OR_BATCH = re.compile(r"[\w.:-]+")


@dataclass(frozen=True)
class Look:
    """Counts of a subject by `by`, of `first` to `last`; a filter that is "" selects every row."""

    subject: Subject
    by: tuple[str, ...]
    first: date
    last: date
    player: str = ""
    system: str = ""
    batch: str = ""
    active: str = ""

    @property
    def days(self) -> int:
        """How many dates are looked at."""
        return (self.last - self.first).days + 1

    @property
    def notes(self) -> tuple[str, ...]:
        """What the figures mean, in sentences."""
        hours = f"Hours: when a row was {self.subject.hour_of}." if "hour" in self.by else ""
        return tuple(filter(None, (self.subject.note, hours)))

    @property
    def query_params(self) -> dict[str, Any]:
        """The parameters of the subject's query."""
        params: dict[str, Any] = {"first_date": self.first, "last_date": self.last, "by": list(self.by)}
        if "batch" in self.subject.dimensions:  # its partitions are the days on which workers ran
            start, end = night_window(self.first)[0], night_window(self.last)[1]
            params |= {"from_time": start - timedelta(days=1), "to_time": end + timedelta(days=7)}
        return params | {name: getattr(self, name) for name in self.subject.filters}


def make_look(
    subject: Subject,
    by: tuple[str, ...],
    first: date,
    last: date,
    player: str = "",
    system: str = "",
    batch: str = "",
    active: str = "",
) -> Look:
    """The look that was asked for; raises InvalidInput, in one sentence, for one that cannot be."""
    if unknown := [name for name in by if name not in subject.dimensions]:
        choices = ", ".join(subject.dimensions)
        raise InvalidInput(
            f"{subject.name.capitalize()} cannot be counted by {unknown[0][:40]!r}.", f"Choose of {choices}."
        )
    if not 1 <= len(by) <= MAX_BY:
        raise InvalidInput(f"Rows are counted by one to {MAX_BY} things, not by {len(by)}.", "Choose what to count by.")
    if first > last:
        raise InvalidInput(f"The range ends on {last}, before it begins on {first}.", "Choose an end after the start.")
    if (days := (last - first).days + 1) > MAX_DAYS:
        raise InvalidInput(f"The range has {days:,} days; at most {MAX_DAYS} can be counted.", "Choose fewer dates.")
    if active not in ("", "yes", "no"):
        raise InvalidInput(f"Active is yes or no, not {active[:40]!r}.", "Leave it out for both.")
    for name, value in (("player", player), ("system", system), ("batch", batch)):
        _check_filter(subject, name, value)
    return Look(subject, by, first, last, normalize_odds_name(player) or "", system, batch, active)


def _check_filter(subject: Subject, name: str, value: str) -> None:
    if value and name not in subject.filters:
        raise InvalidInput(f"{subject.name.capitalize()} have no {name} to filter by.", f"Leave the {name} out.")
    if len(value) > MAX_TEXT:
        raise InvalidInput(f"The {name} has {len(value):,} characters, of at most {MAX_TEXT}.", "Shorten it.")
    if value and name == "player" and normalize_odds_name(value) is None:
        raise InvalidInput(f"{value!r} is not a player's name.", "Write it as lebronjames or LeBron James.")
    if value and name != "player" and not _SYSTEM_OR_BATCH.fullmatch(value):
        raise InvalidInput(f"{value!r} is not the name of a {name}.", "Names have letters, digits, _, -, . and : only.")
