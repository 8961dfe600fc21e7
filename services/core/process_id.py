"""Which process wrote a record or holds a lease: host and process number, which no two instances share."""

from __future__ import annotations

import os
import socket

PROCESS_ID = f"{socket.gethostname()}:{os.getpid()}"


def holder_id(role: str) -> str:
    """This process as the holder of a lease: `role-host-pid`, made of what a BigQuery label may contain."""
    return f"{role}-{PROCESS_ID.replace(':', '-')}"
