"""The dashboard as production starts it, which writes what it holds into a file when it is sent SIGUSR1.

`python -m tests.benchmarks.counted FILE`
"""

from __future__ import annotations

import gc
import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from streamlit.runtime.caching import get_data_cache_stats_provider


def counts() -> dict[str, int]:
    """Cached answers with their bytes, questions remembered, threads, objects."""
    from app import patience

    gc.collect()
    stats: list[Any] = [one for found in get_data_cache_stats_provider().get_stats().values() for one in found]
    return {
        "cached answers": len(stats),
        "cached kB": sum(one.byte_length for one in stats) // 1000,
        "questions remembered": len(patience._asked),
        "threads": threading.active_count(),
        "objects": len(gc.get_objects()),
    }


def main() -> None:
    from app import server

    told = Path(sys.argv.pop(1))

    def tell(*_: Any) -> None:
        part = told.with_suffix(".part")
        part.write_text(json.dumps(counts()))
        part.replace(told)

    signal.signal(signal.SIGUSR1, tell)
    server.main()


if __name__ == "__main__":
    main()
