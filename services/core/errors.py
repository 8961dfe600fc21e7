"""Errors as sentences for the person on call: what happened, and what to do about it."""

from __future__ import annotations


class OnCallError(Exception):
    """Base of every error of ours: `message` states what happened, `hint` what to do; each fits on one line.

    Without a message, the first line of the class's docstring is the message.
    """

    hint: str = ""

    def __init__(self, message: str = "", hint: str = "") -> None:
        self.message = message or (self.__doc__ or "").strip().splitlines()[0]
        self.hint = hint or self.hint
        super().__init__(f"{self.message} {self.hint}".strip())


class SettingsError(OnCallError):
    """A setting in the environment cannot be used."""


class SourceUnavailable(OnCallError):
    """A source did not answer, so its data is unknown."""


class AccessDenied(SourceUnavailable):
    """Google refused this identity."""


class TableNotFound(SourceUnavailable):
    """A dataset, table or column that this query needs does not exist."""


class TableAbsent(TableNotFound):
    """A table does not exist in this installation, by its metadata: nothing is recorded there, so nothing is unread."""


class OverBytesLimit(SourceUnavailable):
    """A query would bill more bytes than one query may."""


class InvalidQuery(OnCallError):
    """A query of ours is wrong: BigQuery refused it."""


class CatalogError(OnCallError):
    """The query catalog has no such query, or it takes other parameters."""


class InvalidInput(OnCallError):
    """The input cannot be used; nothing was changed."""
