"""The dashboard as production starts it; on SIGUSR1 it writes what it holds in memory into a file.

`python -m tests.tools.benchmarks.memory_probe FILE`
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any


def count_objects() -> dict[str, int]:
    """Cached results of the pages, cached results and rows of the warehouse, threads, file descriptors, objects."""
    from app.state import background_cache, session

    gc.collect()
    cache = session.cached_clients().cache
    return {
        "answers remembered": len(background_cache._entries),
        "answers kept": len(cache._entries),
        "rows kept": cache._row_count,
        "threads": threading.active_count(),
        "file descriptors": len(os.listdir("/proc/self/fd")),
        "objects": len(gc.get_objects()),
    }


def main() -> None:
    from app import server

    output_path = Path(sys.argv.pop(1))

    def write_counts(*_: Any) -> None:
        partial_path = output_path.with_suffix(".part")
        partial_path.write_text(json.dumps(count_objects()))
        partial_path.replace(output_path)

    signal.signal(signal.SIGUSR1, write_counts)
    server.main()


if __name__ == "__main__":
    main()
