"""What can go wrong, in sentences for the person on call: what happened, and what to do about it."""

from __future__ import annotations


class OnCallError(Exception):
    """Something this desk could not do. `sentence` says what, `remedy` says what to do; both fit on one line."""

    hint: str = ""

    def __init__(self, message: str = "", hint: str = "") -> None:
        self.message = message or (self.__doc__ or "").strip().splitlines()[0]
        self.hint = hint or self.hint
        super().__init__(f"{self.message} {self.hint}".strip())


class SettingsError(OnCallError):
    """A setting in the environment cannot be used."""


class SourceUnavailable(OnCallError):
    """A source did not answer, so what it would have told is unknown."""


class AccessDenied(SourceUnavailable):
    """Google refused this identity."""


class TableNotFound(SourceUnavailable):
    """A dataset, table or column that this question needs is not there."""


class OverBytesLimit(SourceUnavailable):
    """A query would bill more bytes than one question may."""


class InvalidQuery(OnCallError):
    """A query of ours is wrong: BigQuery refused it."""


class CatalogError(OnCallError):
    """A query was asked for that the catalog does not have, or with the wrong parameters."""


class InvalidInput(OnCallError):
    """What was typed cannot be used; nothing was changed."""
