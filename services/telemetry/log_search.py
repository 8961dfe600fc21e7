"""A log search of one's own: a filter in Cloud Logging's language, of which resources and when; checked before it is sent."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.core.clock import to_rfc3339
from services.core.errors import InvalidInput, InvalidQuery
from services.core.freshness import TAIL_TTL_S
from services.core.settings import Settings
from services.gcp.clients import Clients
from services.telemetry.log_phrases import message_contains
from services.telemetry.log_reader import NAME_LABELS, SERVICE_FILTER, LogLines, fetch_lines, read_filter

MAX_FILTER_CHARS = 20_000  # of Cloud Logging, for everything that is sent
MAX_OWN_CHARS = 19_500  # the rest are the resources and the time
MAX_LINES, MAX_PAGES = 1_000, 5  # of one search: each page is a read of the quota that all share
MAX_SPAN = timedelta(days=31)  # Cloud Logging keeps lines for 30 days by default
TAIL_SPAN, TAIL_LINES = timedelta(minutes=15), 200


@dataclass(frozen=True)
class LogSource:
    """The resources whose log is searched; `condition` is "" for all of the project's."""

    name: str
    condition: str


SOURCES = (
    LogSource("Cloud Run services", SERVICE_FILTER),
    LogSource("Cloud Run jobs", 'resource.type="cloud_run_job"'),
    # Functions of the second generation are Cloud Run services that are managed for them.
    LogSource(
        "Cloud Functions",
        '(resource.type="cloud_function" OR (resource.type="cloud_run_revision" AND labels."goog-managed-by"="cloudfunctions"))',
    ),
    LogSource("Cloud Scheduler", 'resource.type="cloud_scheduler_job"'),
    LogSource("Pub/Sub", 'resource.type=("pubsub_topic" OR "pubsub_subscription")'),
    LogSource("Everything", ""),
)
SOURCES_BY_NAME = {source.name: source for source in SOURCES}

_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<comment>--[^\n]*)|(?P<string>"(?:[^"\\]|\\.)*")|(?P<open>\()|(?P<close>\))|(?P<words>[^\s()"]+)""",
    re.DOTALL,
)


@dataclass(frozen=True)
class LogSearch:
    """A filter, the resources and the time that it searches, `end` excluded. `text` "" is every line of these."""

    text: str
    source: LogSource
    start: datetime
    end: datetime

    def to_filter(self) -> str:
        """All of it in Cloud Logging's language; raises InvalidInput for what cannot be sent."""
        if self.start >= self.end:
            raise InvalidInput("The search ends before it begins.", "Choose an end after the start.")
        if (span := self.end - self.start) > MAX_SPAN:
            days = f"{span / timedelta(days=1):,.0f} days"
            raise InvalidInput(
                f"The search spans {days}; at most {MAX_SPAN.days} can be searched.", "Choose a shorter range."
            )
        times = f'timestamp>="{to_rfc3339(self.start)}" AND timestamp<"{to_rfc3339(self.end)}"'
        return f"{scoped_filter(self.text, self.source)}{times}"

    def command(self, settings: Settings) -> str:
        """The same with gcloud."""
        return (
            f"gcloud logging read {shlex.quote(self.to_filter())} --limit=50 --project={settings.project}"
            " --format='table(timestamp,severity,textPayload,jsonPayload.message)'"
        )


def scoped_filter(text: str, source: LogSource) -> str:
    """The resources AND (the text) AND, for a time to follow; raises InvalidInput for a text that could leave its parentheses."""
    own = strip_comments(text)
    conditions = [source.condition, f"({own})" if own else ""]
    return "".join(f"{condition} AND " for condition in conditions if condition)


def strip_comments(text: str) -> str:
    """The filter without comments; raises InvalidInput where quotation marks or parentheses do not pair, or it is too long.

    What remains says the same inside of parentheses as alone: nothing in it is read differently for what follows it.
    """
    if len(text) > MAX_OWN_CHARS:
        raise InvalidInput(
            f"The filter has {len(text):,} characters, of at most {MAX_OWN_CHARS:,}: Cloud Logging takes"
            f" {MAX_FILTER_CHARS:,} with the time and the resources.",
            "Shorten it; what you typed is kept.",
        )
    kept, opened = [], []
    for kind, token, position in _tokens(text):
        if kind == "open":
            opened.append(position)
        elif kind == "close" and not opened:
            raise InvalidInput(
                f"The parenthesis at {_place(text, position)} closes nothing.", "Remove it, or open one."
            )
        elif kind == "close":
            opened.pop()
        kept.append(" " if kind == "comment" else token)
    if opened:
        raise InvalidInput(f"The parenthesis at {_place(text, opened[-1])} is not closed.", "Close it.")
    return "".join(kept).strip()


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:  # only a quotation mark starts no token
            raise InvalidInput(f"The quotation mark at {_place(text, position)} is not closed.", "Close it.")
        kind, token = str(match.lastgroup), match[0]
        if kind == "words" and ("'" in token or "--" in token):
            wrong = "'" if "'" in token else "--"
            raise InvalidInput(
                f"{wrong} at {_place(text, position)} is not within quotation marks.", 'Quote the text: "…".'
            )
        yield kind, token, position
        position = match.end()


def _place(text: str, position: int) -> str:
    before = text[:position]
    return f"line {before.count(chr(10)) + 1}, column {position - before.rfind(chr(10))}"


def read_search(clients: Clients, search: LogSearch, limit: int = MAX_LINES) -> LogLines:
    """The newest lines that a search finds, oldest first; `truncated` where there are more.

    Raises InvalidInput for a filter that Cloud Logging refuses, OnCallError when it cannot be read.
    """
    with_filter = search.to_filter()
    try:
        return read_filter(clients, with_filter, search.end, limit, newest_first=True, max_pages=MAX_PAGES)
    except InvalidQuery as error:
        raise _refusal(error) from error


def read_tail(clients: Clients, text: str, source: LogSource) -> LogLines:
    """The newest lines of the last minutes, oldest first; read again at the pace that all tails together are allowed.

    Raises as `read_search` does.
    """
    scope = scoped_filter(text, source)

    def read() -> LogLines:
        since = clients.now() - TAIL_SPAN
        return fetch_lines(
            clients, f'{scope}timestamp>="{to_rfc3339(since)}"', TAIL_LINES, newest_first=True, max_pages=1
        )

    try:
        return clients.cache.tailed_log_lines(("tail", scope), TAIL_TTL_S, read, lambda found: len(found.lines))
    except InvalidQuery as error:
        raise _refusal(error) from error


def _refusal(error: InvalidQuery) -> InvalidInput:
    return InvalidInput(error.message, "Correct the filter; what you typed is kept.")


@dataclass(frozen=True)
class LogAnswer:
    """What a search found, or the sentence that says why its filter cannot be used."""

    lines: LogLines | None
    refusal: str = ""


def answer_search(clients: Clients, search: LogSearch) -> LogAnswer:
    """What a search finds; raises OnCallError when the log cannot be read."""
    try:
        return LogAnswer(read_search(clients, search))
    except InvalidInput as error:
        return LogAnswer(None, str(error))


def answer_tail(clients: Clients, text: str, source: LogSource) -> LogAnswer:
    """What a tail shows; raises OnCallError when the log cannot be read."""
    try:
        return LogAnswer(read_tail(clients, text, source))
    except InvalidInput as error:
        return LogAnswer(None, str(error))


# --- the parts of a filter that are offered ---------------------------------------------------------------------------


def of_service(name: str) -> str:
    """Lines of one service, function, job, topic or subscription."""
    quoted = json.dumps(name, ensure_ascii=False)
    return "(" + " OR ".join(f"resource.labels.{label}={quoted}" for label in NAME_LABELS) + ")"


def of_revision(name: str) -> str:
    """Lines of one revision."""
    return f"resource.labels.revision_name={json.dumps(name, ensure_ascii=False)}"


def at_least(severity: str) -> str:
    """Lines of a severity or worse."""
    return f"severity>={severity}"


def with_text(text: str) -> str:
    """Lines whose message contains a text, in any case."""
    return message_contains(text)


def of_batch(batch_id: str) -> str:
    """Lines that name a batch in any field."""
    return json.dumps(batch_id, ensure_ascii=False)


FAILED_REQUESTS = "httpRequest.status>=400"


def add_clause(text: str, clause: str) -> str:
    """The filter and one more condition, on a line of its own."""
    return f"{text.rstrip()}\nAND {clause}" if strip_comments(text) else clause
