"""The sums of a date's newest batch, where a coordinator records them."""

from __future__ import annotations

from datetime import date

from services.batches.ledger import BatchRecord, Ledger
from services.batches.reader import read_batches
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
    if batches.newest is None or batches.newest.record_source != "ledger":
        return None
    with translate_errors("The ledger"):
        return Ledger(clients).latest(batches.newest.batch_id, game_date)
