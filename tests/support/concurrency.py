"""Run calls at the same moment, one thread each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


def run_concurrently(*tasks: Callable[[], Any]) -> list[Any]:
    """Run all tasks at the same moment; each task's result or its exception, in the tasks' order."""
    ready = threading.Barrier(len(tasks))
    results: list[Any] = [None] * len(tasks)

    def run(i: int) -> None:
        ready.wait()
        try:
            results[i] = tasks[i]()
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
