"""What can go wrong, in sentences for the person on call: what happened, and what to do about it."""

from __future__ import annotations


class OnCallError(Exception):
    """Something this desk could not do. `sentence` says what, `remedy` says what to do; both fit on one line."""

    remedy: str = ""

    def __init__(self, sentence: str = "", remedy: str = "") -> None:
        self.sentence = sentence or (self.__doc__ or "").strip().splitlines()[0]
        self.remedy = remedy or self.remedy
        super().__init__(f"{self.sentence} {self.remedy}".strip())


class SettingsError(OnCallError):
    """A setting in the environment cannot be used."""


class SourceUnreadable(OnCallError):
    """A source did not answer, so what it would have told is unknown."""


class AccessDenied(SourceUnreadable):
    """Google refused this identity."""


class MissingInWarehouse(SourceUnreadable):
    """A dataset, table or column that this question needs is not there."""


class OverBytesLimit(SourceUnreadable):
    """A query would bill more bytes than one question may."""


class BadQuery(OnCallError):
    """A query of ours is wrong: BigQuery refused it."""


class CatalogError(OnCallError):
    """A query was asked for that the catalog does not have, or with the wrong parameters."""


class BadInput(OnCallError):
    """What was typed cannot be used; nothing was changed."""
