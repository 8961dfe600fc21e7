"""What the documents in Markdown have in common: links to the pages of a night, times, and what is unknown or old."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from services.core.clock import format_eastern
from services.core.result import Result
from services.core.text import escape_markdown


@dataclass(frozen=True)
class Links:
    """Links to the dashboard, where each line of the note has its source."""

    dashboard_url: str
    game_date: date

    def to(self, label: str, page: str, params: Mapping[str, str] | None = None) -> str:
        """A link to a page of this game date, as Markdown."""
        query = urlencode({"date": self.game_date.isoformat(), **(params or {})})
        return f"[{escape_markdown(label)}]({self.dashboard_url}/{page}?{query})"


def unknown_note(result: Result[Any]) -> list[str]:
    """Lines that say why a section is unknown or old; none where it was read just now."""
    return [
        *([f"- **Unknown:** {escape_markdown(result.problem.message)}"] if result.problem else []),
        *([f"- **Old:** {escape_markdown(result.outdated.message)}"] if result.outdated else []),
    ]


def format_time(at: datetime | None) -> str:
    """An instant as 30 Dec 01:45 ET, or the word for not knowing it."""
    return format_eastern(at, "%-d %b %H:%M") if at else "unknown"
