"""What an alias would change: which players of which dates would newly meet their odds, and how they stood."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from services.actions.plan import Change, Guard
from services.aliases.unresolved import Standing, read_standings
from services.core.clock import night_of
from services.core.errors import OnCallError
from services.core.result import Source
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud
from services.names.registry import Book
from services.names.resolver import How, resolve

LOOK_BACK_DAYS = 14
MOST_SHOWN = 30
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Anew:
    """Names of the odds that the changed book would resolve and today's does not, by date."""

    changes: tuple[Change, ...] = ()
    guards: tuple[Guard, ...] = ()
    sources: tuple[Source, ...] = ()
    cautions: tuple[str, ...] = ()


def covered_anew(cloud: Cloud, before: Book, after: Book, now: datetime) -> Anew:
    """The last two weeks through both books. What cannot be read is a caution: it stops nothing, and is no empty answer."""
    last = night_of(now) + timedelta(days=1)
    first = last - timedelta(days=LOOK_BACK_DAYS)
    try:
        answer = catalog.run(cloud, "aliases.unresolved", first_date=first, last_date=last)
        led = list(_led_anew(answer.rows, before, after))
        standings = read_standings(cloud, {to for _, to in led}, first, last)
    except OnCallError as error:
        return Anew(cautions=(f"What it would cover is unknown: {error.sentence}",))
    stood = [(row, to, standings.by_lookup.get(to, {}).get(row["game_date"])) for row, to in led]
    met = sum(standing is not None for _, _, standing in stood)
    sentence = f"{met} player-nights of the last {LOOK_BACK_DAYS} days would newly meet their odds."
    return Anew(
        tuple(_change(*each) for each in stood[:MOST_SHOWN]),
        (Guard("what it would cover", True, sentence),),
        (answer.source, *standings.sources),
        tuple(_elsewhere(stood, after)),
    )


def _led_anew(rows: tuple[Row, ...], before: Book, after: Book) -> Iterator[tuple[Row, str]]:
    """Rows without a player whose name leads elsewhere now. None of these names is in the context, so the registry does not count."""
    for row in rows:
        name = row["player_lookup"]
        known = after.lookups - {name} if name in after.lookups else after.lookups
        was, will = (resolve(name, known, book.active) for book in (before, after))
        if will.how is How.ALIAS and will.lookup and will.lookup != was.lookup:
            yield row, will.lookup


def _change(row: Row, to: str, stood: Standing | None) -> Change:
    told = f"meets {to}: {stood.sentence}" if stood else f"{to} is not in the context of that date either"
    return Change(f"{row['player_lookup']} on {row['game_date']:%-d %b}", "odds without a player", told)


def _elsewhere(stood: list[tuple[Row, str, Standing | None]], book: Book) -> Iterator[str]:
    """A canonical player whose teams had no part in the game that the odds were for is probably somebody else."""
    found: dict[tuple[str, str, str], list[date]] = defaultdict(list)
    for row, to, standing in stood:
        teams = {each.team for each in book.by_lookup.get(to, ())}
        if standing is None and teams and not teams & {row["away_team"], row["home_team"]}:
            found[row["player_lookup"], to, "/".join(sorted(teams))].append(row["game_date"])
    for (name, to, theirs), days in found.items():
        told = ", ".join(f"{day:%-d %b}" for day in days[:3])
        yield f"{name} was offered for {told}, when {to} ({theirs}) did not play."
