"""Threads for reads that do not need each other's answers, so that they wait for the slowest and not for the sum."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

MAX_CONCURRENT_READS = 8  # of one reader; a ninth waits for one of them


def concurrent_reads() -> ThreadPoolExecutor:
    """Threads for one reader, as a context that ends once everything submitted has.

    Each reader has its own: one that waits for its parts in threads shared by all could keep those parts from starting.
    """
    return ThreadPoolExecutor(MAX_CONCURRENT_READS, "concurrent read")
