"""What the commands share: settings, clients that read, plan and act, and who is at the terminal; each opened when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

from services.auth.roles import Actor
from services.cli.identity import identify
from services.core.clock import eastern_day, to_game_date
from services.core.errors import InvalidInput
from services.core.settings import Settings
from services.gcp.clients import Clients, connect
from services.gcp.read_cache import ReadCache


@dataclass
class Terminal:
    """One run of the command line, of these `arguments`. The other two are what a test has something else in place of."""

    arguments: Sequence[str] = ()
    read_settings: Callable[[], Settings] = Settings.from_env
    open_clients: Callable[[Settings, bool], Clients] = connect

    @cached_property
    def settings(self) -> Settings:
        """The settings of the environment; raises SettingsError."""
        return self.read_settings()

    @cached_property
    def reading(self) -> Clients:
        """Clients of the account that reads; a table that several sources need is read once."""
        clients = self.open_clients(self.settings, False)
        return replace(clients, cache=ReadCache(since=clients.now()))

    @cached_property
    def planning(self) -> Clients:
        """The same without answers that are reused: a plan is made from what is so now."""
        return replace(self.reading, cache=self.reading.cache.without_answers())

    @cached_property
    def acting(self) -> Clients:
        """Clients of the account with write permissions, the person's own where none is set."""
        if not self.settings.acting_account:
            return self.planning
        return replace(self.open_clients(self.settings, True), cache=self.reading.cache.without_answers())

    def actor(self, requested: str = "") -> Actor:
        """Who is at the terminal; `requested` as in `identify`."""
        return identify(self.reading, self.acting, requested)

    def game_date(self, requested: date | None) -> date:
        """The requested night, or tonight; raises InvalidInput for one in the future."""
        now = self.reading.now()
        if requested is not None and requested > eastern_day(now):
            raise InvalidInput(f"{requested} is in the future.", f"Tonight is {to_game_date(now)}.")
        return requested or to_game_date(now)
