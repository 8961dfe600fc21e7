"""`gcloud` or `bq` on the PATH of a rehearsal: `fork_client.py SOCKET TOOL ARGUMENTS…`; its exit code is the tool's."""

from __future__ import annotations

import array
import json
import os
import socket
import sys


def _main(address: str, *arguments: str) -> int:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    message = json.dumps({"cwd": os.getcwd(), "arguments": arguments}).encode()
    streams = array.array("i", [0, 1, 2])
    connection.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    return int(connection.recv(16) or b"1")


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
