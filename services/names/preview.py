"""What an alias would change: which players of which dates would newly meet their odds, and how they stood."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.actions.plan import Change, Guard
from services.foundation import catalog
from services.foundation.clients import Cloud
from services.foundation.clock import night_of
from services.foundation.errors import OnCallError
from services.foundation.reading import Source
from services.names.book import Book
from services.names.resolver import How, resolve
from services.names.unresolved import read_standings

LOOK_BACK_DAYS = 14
MOST_SHOWN = 30


@dataclass(frozen=True)
class Anew:
    """Names of the odds that the changed book would resolve and today's does not, by date."""

    changes: tuple[Change, ...]
    guard: Guard
    sources: tuple[Source, ...]


def covered_anew(cloud: Cloud, before: Book, after: Book, now: datetime) -> Anew:
    """The last two weeks through both books. What cannot be read is said, and stops nothing but is no empty answer."""
    last = night_of(now) + timedelta(days=1)
    first = last - timedelta(days=LOOK_BACK_DAYS)
    try:
        answer = catalog.run(cloud, "aliases.unresolved", from_date=first, to_date=last)
        led = {row["player_lookup"]: resolve(row["player_lookup"], after.lookups, after.active) for row in answer.rows}
        new = {n: r.lookup for n, r in led.items() if r.how is How.ALIAS and r.lookup}
        gained = {n: to for n, to in new.items() if resolve(n, before.lookups, before.active).lookup != to}
        standings = read_standings(cloud, gained.values(), first, last)
    except OnCallError as error:
        return Anew((), Guard("what it would cover", None, f"What it would cover is unknown: {error.sentence}"), ())
    changes = []
    for row in answer.rows:
        to = gained.get(row["player_lookup"])
        if to is None:
            continue
        stood = standings.by_lookup.get(to, {}).get(row["game_date"])
        told = f"meets {to}: {stood.sentence}" if stood else f"{to} is not in the context of that date either"
        changes.append(Change(f"{row['player_lookup']} on {row['game_date']:%-d %b}", "odds without a player", told))
    sentence = f"{len(changes)} player-nights of the last {LOOK_BACK_DAYS} days would newly meet their odds."
    return Anew(tuple(changes[:MOST_SHOWN]), Guard("what it would cover", True, sentence), (answer.source,))
