"""The functions of Cloud Logging's filter language, and how it finds a field of an entry."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

LogEntry = Mapping[str, Any]
Predicate = Callable[[LogEntry], bool]
FieldPath = tuple[str, ...]


def get_field(entry: LogEntry, path: FieldPath) -> Any:  # noqa: ANN401 - JSON of any shape
    """The value of a field; the whole entry for no path, None where there is none."""
    value: Any = entry
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def field_text(entry: LogEntry, path: FieldPath) -> str:
    """A field as text; "" where there is none."""
    value = get_field(entry, path)
    return "" if value is None else str(value)


def _search(*arguments: tuple[str, str]) -> Predicate:
    """SEARCH("words") or SEARCH(field, "words"): each word is a token of the field, or of any."""
    if len(arguments) not in (1, 2) or arguments[-1][0] != "quoted":
        raise ValueError("it takes a field, which may be left out, and a text in quotation marks")
    path = tuple(arguments[0][1].split(".")) if len(arguments) == 2 else ()
    words = set(re.findall(r"\w+", arguments[-1][1].lower()))
    return lambda entry: words <= set(re.findall(r"\w+", str(get_field(entry, path)).lower()))


def _log_id(name: tuple[str, str]) -> Predicate:
    """log_id("name"): the last part of the log's name."""
    encoded = name[1].lower().replace("/", "%2f")
    return lambda entry: str(entry.get("logName", "")).lower().rpartition("/")[2] == encoded


def _sample(field: tuple[str, str], fraction: tuple[str, str]) -> Predicate:
    """sample(field, fraction): always the same share of a field's values."""
    share, path = float(fraction[1]), tuple(field[1].split("."))
    if not 0 <= share <= 1:
        raise ValueError("the fraction is between 0.0 and 1.0")

    def is_sampled(entry: LogEntry) -> bool:
        digest = hashlib.sha256(field_text(entry, path).encode()).digest()
        return int.from_bytes(digest[:4]) < share * 2**32

    return is_sampled


def _ip_in_net(field: tuple[str, str], network: tuple[str, str]) -> Predicate:
    """ip_in_net(field, "network"): the field is an address of a network."""
    path, addresses = tuple(field[1].split(".")), ipaddress.ip_network(network[1], strict=False)

    def is_inside(entry: LogEntry) -> bool:
        try:
            return ipaddress.ip_address(field_text(entry, path)) in addresses
        except ValueError:
            return False

    return is_inside


FUNCTIONS: Mapping[str, Callable[..., Predicate]] = {
    "search": _search,
    "log_id": _log_id,
    "sample": _sample,
    "ip_in_net": _ip_in_net,
}
