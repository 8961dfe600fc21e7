"""Plans for runs: which players and why each, how many rows come and which they replace, and what stands in the way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from services.actions.plan import Change, Friction, Guard, Plan, Share
from services.actions.verb import Facts
from services.batches.reader import Batches, read_batches
from services.batches.state import LIVE
from services.core.clock import eastern_day
from services.core.errors import BadInput, OnCallError
from services.core.text import many
from services.gcp.clients import Cloud
from services.nights.missing_players import Missing, Why, missing
from services.nights.player_stages import Night, read_night
from services.policy.dml_limits import ADMITTED
from services.runs.coordinator_client import Coordinator, read_coordinator
from services.scaling.worker_width import CAP_PRODUCT, read_worker
from services.staging.inventory import StagingTable, read_inventory

NOT_BY_A_RUN = {Why.FILTERED_OUT, Why.NOT_CONSOLIDATED, Why.NOT_IN_CONTEXT, Why.NOT_IN_CONTEXT_ALIAS}
USUAL_ROWS = 25  # five systems × five lines, until the night itself shows another number


@dataclass(frozen=True)
class Scene:
    """Everything a run's plan is made from, read just now. What could not be read is None with its reason in `gaps`."""

    night: Night
    lost: tuple[Missing, ...]
    batches: Batches | None
    leftover: tuple[StagingTable, ...] | None
    coordinator: Coordinator | None
    width: int | None
    gaps: dict[str, str]

    @property
    def eligible(self) -> int:
        return sum(bool(player.eligible) for player in self.night.players)

    @property
    def active(self) -> int:
        return sum(bool(player.active_rows) for player in self.night.players if player.eligible)


def game_date_of(args: Facts) -> date:
    try:
        return date.fromisoformat(str(args.get("game_date")))
    except ValueError:
        raise BadInput(f"{args.get('game_date')!r} is not a game date.", "Write it as 2025-12-29.") from None


def plan_start(cloud: Cloud, args: Facts) -> Plan:
    """Run `game_date`: only the lost players (`players` chooses among them), or with scope "date" everybody again."""
    game_date, scope = game_date_of(args), args.get("scope", "lost")
    if scope not in ("lost", "date"):
        raise BadInput(f"{scope!r} is no scope of a run.", "It is lost or date.")
    if "players" in args and not args["players"]:
        raise BadInput("No player was chosen, so there is nothing to run.", "Choose players first.")
    scene = _read(cloud, game_date)
    chosen = _chosen(scene, args.get("players"))
    whole = scope == "date" or not scene.night.ran or not _supports(scene, "players")
    return _plan(cloud, game_date, args, scene, chosen, whole)


def _read(cloud: Cloud, game_date: date) -> Scene:
    gaps: dict[str, str] = {}

    def tried(what: str, read: Any) -> Any:
        try:
            return read()
        except OnCallError as error:
            gaps[what] = str(error)
            return None

    night = read_night(cloud, game_date)
    inventory = tried("staging", lambda: read_inventory(cloud))
    worker = tried("width", lambda: read_worker(cloud))
    return Scene(
        night=night,
        lost=tuple(m for m in missing(night) if m.why not in NOT_BY_A_RUN),
        batches=tried("batches", lambda: read_batches(cloud, game_date)),
        leftover=tuple(t for t in inventory.tables if t.game_date == game_date) if inventory else None,
        coordinator=tried("coordinator", lambda: read_coordinator(cloud)),
        width=worker.actual.product if worker else None,
        gaps=gaps,
    )


def _chosen(scene: Scene, players: Sequence[str] | None) -> tuple[Missing, ...]:
    if players is None:
        return scene.lost
    unknown = sorted(set(players) - {m.player.player_lookup for m in scene.lost})
    if unknown:
        raise BadInput(f"Not among the players a run would repair: {', '.join(unknown[:5])}.", "Choose from the list.")
    return tuple(m for m in scene.lost if m.player.player_lookup in players)


def _plan(cloud: Cloud, game_date: date, args: Facts, scene: Scene, chosen: tuple[Missing, ...], whole: bool) -> Plan:
    overwrites = whole and scene.active > 0
    body = body_of(game_date, scene.night, None if whole else [m.player.player_lookup for m in chosen])
    return Plan(
        verb="run.start",
        target=f"{game_date}",
        title=_title(game_date, scene, chosen, whole),
        args=dict(args),
        observed={
            "lost": {m.player.player_lookup: str(m.why) for m in chosen},
            "active players": scene.active,
            "batches": [f"{b.batch_id} {b.state}" for b in scene.batches.batches[:5]] if scene.batches else "unknown",
            "left in staging": [t.table for t in scene.leftover or () if t.unmerged_rows != 0],
            "coordinator": f"{scene.coordinator.url} {sorted(scene.coordinator.supports)}"
            if scene.coordinator
            else "down",
            "body": body,
        },
        changes=(*_sums(scene, chosen, whole), *_players(chosen)),
        guards=tuple(_guards(cloud, game_date, scene, chosen, whole)),
        planned_at=cloud.now(),
        undo="Not by a button. The table can be read as it was for a week; a run adds and updates rows, it deletes none.",
        cost="One MERGE for the whole batch, some 25 MiB billed; the plan billed"
        f" {sum(s.bytes_billed for s in scene.night.sources) / 2**20:,.0f} MiB.",
        friction=Friction.TYPED if overwrites else Friction.ONE_CLICK,
        typed=str(game_date) if overwrites else "",
        cautions=tuple(_cautions(scene, whole)),
        commands=(_curl(scene, body),),
        coverage=Share(scene.active, scene.eligible) if scene.eligible else None,
        sources=scene.night.sources,
    )


def body_of(game_date: date, night: Night, players: Sequence[str] | None) -> dict[str, Any]:
    """What /start is sent; without `players` it means everybody. `force` only where the date has run before."""
    body: dict[str, Any] = {"game_date": game_date.isoformat()}
    if night.ran:
        body["force"] = True
    return body if players is None else {**body, "players": list(players)}


def _title(game_date: date, scene: Scene, chosen: tuple[Missing, ...], whole: bool) -> str:
    day = f"{game_date:%a} {game_date.day} {game_date:%b %Y}"
    if not scene.night.ran:
        return f"Start the run of {day} ({scene.eligible} players)"
    if whole:
        return f"Re-run all {scene.eligible} players of {day}"
    return f"Re-run {many(len(chosen), 'lost player')} of {day}"


def _sums(scene: Scene, chosen: tuple[Missing, ...], whole: bool) -> Iterator[Change]:
    usual = round(scene.night.active_rows / scene.active) if scene.active else USUAL_ROWS
    told = [m.player.generated_rows for m in chosen]
    known = [rows for rows in told if rows]
    added = sum(known) + usual * (len(told) - len(known))
    how = "as generated before" if len(known) == len(told) else f"{usual} a player where nothing was generated yet"
    kept = scene.night.active_rows
    replaced = f"{kept:,} of {scene.active} players, each updated where its values differ" if whole and kept else "none"
    yield Change(
        "players active", f"{scene.active} of {scene.eligible}", f"{scene.active + len(chosen)} of {scene.eligible}"
    )
    yield Change("rows added", f"{kept:,} active now", f"+{added:,} ({how})")
    yield Change("rows replaced", "", replaced)
    yield Change("rows deactivated", "", "only older lines of the same players, where a line has moved since")


def _players(chosen: tuple[Missing, ...]) -> Iterator[Change]:
    for m in chosen:
        yield Change(m.player.player_name or m.player.player_lookup, str(m.why), "asked for again")


def _guards(cloud: Cloud, game_date: date, scene: Scene, chosen: tuple[Missing, ...], whole: bool) -> Iterator[Guard]:
    games = scene.night.games
    yield Guard("games", bool(games), f"{game_date} has {games or 'no'} games.")
    ahead = (game_date - eastern_day(cloud.now())).days
    yield Guard(
        "date",
        ahead <= 1,
        "The date is today's, tomorrow's or past." if ahead <= 1 else f"{game_date} is {ahead} days away.",
    )
    someone = bool(chosen) or (whole and scene.eligible > 0)
    yield Guard(
        "somebody to run",
        someone,
        f"{len(chosen)} players would be repaired." if someone else "Nobody is lost that a run would repair.",
    )
    yield from _nothing_in_the_way(scene)
    yield _width_is_safe(scene)


def _nothing_in_the_way(scene: Scene) -> Iterator[Guard]:
    up = scene.coordinator is not None
    yield Guard("coordinator", True if up else None, "The coordinator answers." if up else scene.gaps["coordinator"])
    if scene.batches is None:
        yield Guard("no batch runs", None, scene.gaps["batches"])
    else:
        live = next((b for b in scene.batches.batches if b.state in LIVE), None)
        yield Guard(
            "no batch runs",
            live is None,
            f"{live.batch_id} is {live.state}." if live else "No batch of this date runs.",
        )
    if scene.leftover is None:
        yield Guard("staging is clear", None, scene.gaps["staging"])
        return
    held = [t for t in scene.leftover if t.unmerged_rows != 0]
    says = (
        f"{len(held)} staging tables of {held[0].batch_id} still hold rows: consolidate or drop them first."
        if held
        else ""
    )
    yield Guard("staging is clear", not held, says or "No staging table of this date holds rows of its own.")


def _width_is_safe(scene: Scene) -> Guard:
    """Ours stages and merges once, so only the API's own limit counts; another coordinator may let every worker MERGE."""
    limit = CAP_PRODUCT if _supports(scene, "resume") else ADMITTED
    if "width" in scene.gaps:
        return Guard("width", None, scene.gaps["width"])
    ok = scene.width is not None and scene.width <= limit
    return Guard(
        "width",
        ok,
        f"The workers take {scene.width or 'any number of'} requests at once; {limit} are safe{'' if ok else ': narrow them first'}.",
    )


def _cautions(scene: Scene, whole: bool) -> Iterator[str]:
    if whole and scene.night.ran and not _supports(scene, "players"):
        yield "This coordinator cannot run single players: the smallest safe unit is the whole date."
    by_why = Counter(str(m.why) for m in scene.lost if m.why in (Why.NOT_GENERATED, Why.UNEXPLAINED))
    for why, count in by_why.items():
        yield f"{count} players were lost as “{why}”: a run repairs them only if its cause is gone."
    for problem in scene.night.problems:
        yield f"Not readable: {problem.source}. {problem.sentence}"


def _supports(scene: Scene, what: str) -> bool:
    return scene.coordinator is not None and what in scene.coordinator.supports


def _curl(scene: Scene, body: dict[str, Any]) -> str:
    url = scene.coordinator.url if scene.coordinator else "$COORDINATOR_URL"
    return f"curl -X POST {url}/start -H 'Content-Type: application/json' -d '{json.dumps(body)}'"
