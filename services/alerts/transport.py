"""What a notification channel is: something that sends alerts and returns how that went; with the HTTP call that channels share."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import requests

from services.alerts.alert_log import Alert

REQUEST_TIMEOUT_S = 5
MAX_ATTEMPTS = 3
MAX_RETRY_AFTER_S = 30.0  # a longer Retry-After is left to the next check: the watchdog must not stop checking
DEFAULT_RETRY_AFTER_S = 1.0
BASE_BACKOFF_S = 0.5

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
    """No attempt got a response: how many there were, and the kind of error. A client's own message may hold the address."""

    def __init__(self, attempts: int, kind: str) -> None:
        super().__init__(f"after {attempts} tries: {kind}")


def post_json(url: str, body: Mapping[str, object]) -> requests.Response:
    """The response to a POST, with up to MAX_ATTEMPTS attempts while the server is unreachable, busy or failing.

    Waits as long as a rate limit asks, up to MAX_RETRY_AFTER_S; raises Unreachable when the last attempt got no response.
    """
    attempt = 0
    while True:
        attempt += 1
        wait_s = random.uniform(0, BASE_BACKOFF_S * 2**attempt)  # noqa: S311  # nosec B311 - it only spreads retries
        try:
            response = requests.post(url, json=body, timeout=REQUEST_TIMEOUT_S, allow_redirects=False)
        except requests.RequestException as error:
            if attempt >= MAX_ATTEMPTS:
                raise Unreachable(attempt, _error_kind(error)) from None
        else:
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


def _error_kind(error: requests.RequestException) -> str:
    """The kind of a client error, and of the connection error inside it where there is one."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    kinds = [type(error).__name__, *([type(reason).__name__] if isinstance(reason, Exception) else [])]
    return ": ".join(dict.fromkeys(kinds))
