"""The sums of a date's newest batch, where a coordinator records them."""

from __future__ import annotations

from datetime import date

from services.batches.ledger import BatchRecord, Ledger
from services.batches.reader import Batch, read_batches
from services.core.errors import SourceUnavailable
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors


def read_newest_record(clients: Clients, game_date: date) -> BatchRecord | None:
    """The newest batch's state in our ledger; None when there is no batch, or when it is of a coordinator without a ledger.

    Raises OnCallError when the ledger cannot be read.
    """
    batches = read_batches(clients, game_date)
    if batches.ledger_problem is not None:
        raise SourceUnavailable(batches.ledger_problem.message, batches.ledger_problem.hint)
    return read_record(clients, game_date, batches.newest)


def read_record(clients: Clients, game_date: date, newest: Batch | None) -> BatchRecord | None:
    """The state of one batch in our ledger; None for no batch or one that is known from logs only."""
    if newest is None or newest.record_source != "ledger":
        return None
    with translate_errors("The ledger"):
        return Ledger(clients).latest(newest.batch_id, game_date)
