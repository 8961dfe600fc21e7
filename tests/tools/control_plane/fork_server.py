"""Runs gcloud or bq by forking a process that has loaded it: the same code, without the seconds that loading takes.

Started by the SDK's own Python as `fork_server.py TOOL SDK SOCKET`. A client (fork_client.py) sends its standard streams with
its arguments and its directory, and gets the exit code.
"""

from __future__ import annotations

import array
import importlib
import json
import os
import socket
import sys
import traceback
import warnings
from typing import Any

PATHS = {"gcloud": ("lib/third_party", "lib"), "bq": ("platform/bq",)}


def _serve(tool: str, sdk: str, address: str) -> None:
    for folder in PATHS[tool]:
        sys.path.insert(0, os.path.join(sdk, folder))
    sys.argv = [tool]
    module: Any = importlib.import_module(tool)
    main = module._import_gcloud_main().main if tool == "gcloud" else module.appcommands.Run
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen(8)
    print("ready", flush=True)
    while True:
        connection, _ = server.accept()
        if os.fork() == 0:  # its child is nobody's to wait for
            if os.fork() == 0:
                server.close()
                _run(connection, main)
            os._exit(0)
        connection.close()
        os.wait()


def _run(connection: socket.socket, main: Any) -> None:
    size = array.array("i").itemsize
    message, ancillary, _, _ = connection.recvmsg(1 << 20, socket.CMSG_LEN(3 * size))
    streams = array.array("i")
    streams.frombytes(ancillary[0][2][: 3 * size])
    for target, descriptor in enumerate(streams):
        os.dup2(descriptor, target)
    request = json.loads(message)
    os.chdir(request["cwd"])
    sys.argv = request["arguments"]
    warnings.simplefilter("ignore")
    sys.modules["__main__"] = sys.modules[sys.argv[0]]  # bq looks there for its main
    code: int | str | None = 1
    try:
        main()
        code = 0
    except SystemExit as exited:
        code = exited.code
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    connection.send(str(code if isinstance(code, int) else int(code is not None)).encode())
    os._exit(0)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
