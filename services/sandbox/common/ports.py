"""TCP ports on this machine: a free one, and whether one can be bound."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port nothing listens on at this moment, chosen by the kernel."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bind_error(port: int) -> OSError | None:
    """Why a server could not listen on 127.0.0.1:`port`; None when it could."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error
    return None
