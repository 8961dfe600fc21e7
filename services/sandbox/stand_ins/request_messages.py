"""Requests of the stand-ins, read by Google's own message types, and the refusal of what these do not know."""

from __future__ import annotations

import re
from typing import Any, Protocol

from google.protobuf import json_format
from google.protobuf.message import Message

_UNKNOWN_FIELD = re.compile(r'no field named "([^"]*)" at "\w+\.?([^"]*)"')


class RequestRefused(Exception):
    """A call that is refused: the HTTP status and Google's sentence; `reason` where it is not the status's usual one."""

    def __init__(self, status: int, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.reason = status, message, reason


class MessageType(Protocol):
    """A message class of Google's clients (proto-plus)."""

    def pb(self) -> type[Message]:
        """The protobuf class behind it."""
        ...


def parse_message(body: object, message_type: MessageType, name: str = "") -> dict[str, Any]:
    """A request's body in canonical REST form, without default values; `name` is the request's field that the body is.

    Raises RequestRefused for what is not a message of the type: unknown fields, wrong types, two values of a choice.
    """
    where = f" at '{name}'" if name else ""
    if not isinstance(body, dict):
        raise RequestRefused(400, f"Invalid JSON payload received{where}: an object is expected.")
    message = message_type.pb()()
    try:
        json_format.ParseDict(body, message)
    except json_format.ParseError as error:
        match = _UNKNOWN_FIELD.search(str(error))
        if match is None:
            raise RequestRefused(400, f"Invalid value{where}: {str(error).splitlines()[0]}") from None
        path = ".".join(filter(None, (name, match[2])))
        place = f" at '{path}'" if path else ""
        raise RequestRefused(
            400, f'Invalid JSON payload received. Unknown name "{match[1]}"{place}: Cannot find field.'
        ) from None
    parsed: dict[str, Any] = json_format.MessageToDict(message)
    return parsed
