"""The guard that no batch runs: known only where the ledger could be read."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from services.actions.plan import Guard
from services.batches.reader import Batches, read_batches
from services.core.errors import OnCallError
from services.gcp.clients import Clients


def guard_no_batch_runs(clients: Clients, game_date: date, among: Collection[str] | None = None) -> Guard:
    """That no batch of a game date runs, or none of those `among`; unknown where the batches cannot be read."""
    try:
        return check_no_batch_runs(read_batches(clients, game_date), game_date, among)
    except OnCallError as error:
        return unknown_whether_batch_runs(game_date, str(error))


def check_no_batch_runs(batches: Batches, game_date: date, among: Collection[str] | None = None) -> Guard:
    """The same guard from batches that were read. A batch that is seen to run runs, whatever else was unreadable."""
    running = [b for b in batches.running if among is None or b.batch_id in among]
    if running:
        return Guard("no running batch", False, f"{running[0].batch_id} is {running[0].state}.")
    if (problem := batches.ledger_problem) is not None:
        return unknown_whether_batch_runs(game_date, problem.message)
    tables_text = "" if among is None else " with these tables"
    return Guard("no running batch", True, f"No running batch of {game_date}{tables_text}.")


def unknown_whether_batch_runs(game_date: date, message: str) -> Guard:
    """The guard where the batches could not be read, with the reason."""
    return Guard("no running batch", None, f"Running batches of {game_date} unknown: {message}")
