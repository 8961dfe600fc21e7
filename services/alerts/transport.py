"""What a notification channel is: something that sends alerts and returns how that went; with the HTTP call that channels share."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import requests

from services.alerts.alert_log import Alert

REQUEST_TIMEOUT_S = 5
MAX_ATTEMPTS = 3
MAX_RETRY_AFTER_S = 30.0  # a longer Retry-After is left to the next check: the watchdog must not stop checking
DEFAULT_RETRY_AFTER_S = 1.0
BASE_BACKOFF_S = 0.5
MAX_QUOTED_LENGTH = 100  # characters of an answer
MIN_SECRET_LENGTH = 8  # a shorter part of an address, such as "v2", is no token

logging.getLogger("urllib3.connectionpool").setLevel(logging.WARNING)  # at DEBUG it writes a webhook's path


@dataclass(frozen=True)
class Delivery:
    """How one message went, in words that never contain the channel's address."""

    ok: bool
    detail: str


class Transport(Protocol):
    """One channel. A new one implements this in a module of its own and is chosen in channels.py."""

    def send(self, alerts: Sequence[Alert]) -> Delivery:
        """Send all alerts in one message; raises nothing."""


class Unreachable(Exception):
    """The last attempt got no response: what came of each attempt. A client's own message may hold the address."""

    def __init__(self, outcomes: Sequence[str]) -> None:
        attempts = f"after {len(outcomes)} attempts" if len(outcomes) > 1 else "at the first attempt"
        super().__init__(f"{attempts}: {', '.join(dict.fromkeys(outcomes))}")


def post_json(url: str, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> requests.Response:
    """The response to a POST, with up to MAX_ATTEMPTS attempts while the server is unreachable, busy or failing.

    Waits as long as a rate limit asks, up to MAX_RETRY_AFTER_S; raises Unreachable when the last attempt got no response.
    A request that cannot be sent at all, for example to an address that is none, is not tried again.
    """
    outcomes: list[str] = []
    while True:
        attempt = len(outcomes) + 1
        wait_s = random.uniform(0, BASE_BACKOFF_S * 2**attempt)  # noqa: S311  # nosec B311 - it only spreads retries
        try:
            response = requests.post(url, json=body, headers=headers, timeout=REQUEST_TIMEOUT_S, allow_redirects=False)
        except (requests.RequestException, ValueError) as error:
            outcomes.append(_error_kind(error))
            if attempt >= MAX_ATTEMPTS or isinstance(error, ValueError):
                raise Unreachable(outcomes) from None
        else:
            outcomes.append(f"HTTP {response.status_code}")
            if response.status_code == requests.codes.too_many_requests:
                wait_s = retry_after_s(response)
            elif response.status_code < requests.codes.internal_server_error:
                return response
            if attempt >= MAX_ATTEMPTS or wait_s > MAX_RETRY_AFTER_S:
                return response
        time.sleep(wait_s)


def retry_after_s(response: requests.Response) -> float:
    """Seconds that a rate limit asks to wait."""
    header = response.headers.get("Retry-After", "")
    return float(header) if re.fullmatch(r"\d+(\.\d+)?", header) else DEFAULT_RETRY_AFTER_S


def quote_answer(response: requests.Response, *secrets: str) -> str:
    """The status and first words of an answer, without the channel's address or key: a server may repeat what it was sent."""
    text = " ".join(response.text.split())
    for part in sorted({part for secret in secrets for part in _secret_parts(secret)}, key=len, reverse=True):
        text = text.replace(part, "…")
    return f"HTTP {response.status_code}: {text[:MAX_QUOTED_LENGTH] or 'nothing'}"


def _secret_parts(secret: str) -> Iterator[str]:
    """A key whole; an address whole, its path, and each part of its path that is long enough to be a token."""
    path = urlsplit(secret).path
    yield from (part for part in (secret, path, *path.split("/")) if len(part) >= MIN_SECRET_LENGTH)


def _error_kind(error: Exception) -> str:
    """The kind of a client error, and of the connection error inside it where there is one."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    kinds = [type(error).__name__, *([type(reason).__name__] if isinstance(reason, Exception) else [])]
    return ": ".join(dict.fromkeys(kinds))
