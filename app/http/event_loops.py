"""One event loop for the scripts of all sessions, which none of them runs: Streamlit opens one, with three file descriptors, for each."""

from __future__ import annotations

import asyncio
from functools import cache


class _ScriptLoop(asyncio.SelectorEventLoop):
    """A loop that no session closes for the others."""

    def close(self) -> None:
        """Nothing: it is open as long as the process."""


@cache
def _script_loop() -> _ScriptLoop:
    return _ScriptLoop()


class ScriptLoopPolicy(asyncio.DefaultEventLoopPolicy):
    """A loop that is made while another one runs cannot be run in this thread: it is the one that Streamlit gives to a script."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of all scripts inside the server's loop, a new one elsewhere."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return super().new_event_loop()
        return _script_loop()
