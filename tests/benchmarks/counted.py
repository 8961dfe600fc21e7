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


def counts() -> dict[str, int]:
    """Answers the pages remember, answers and rows kept of the warehouse, threads, objects."""
    from app.state import background_cache as patience
    from app.state import session

    gc.collect()
    kept = session.cloud().kept
    return {
        "answers remembered": len(patience._known),
        "answers kept": len(kept._held) if kept else 0,
        "rows kept": kept._rows if kept else 0,
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
