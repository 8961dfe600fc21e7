"""Plans for runs: which players and for which reason, how many rows come and which they replace, what blocks the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

from services.actions.plan import Change, Confirmation, Guard, Params, Plan
from services.core.clock import eastern_day
from services.core.commands import curl_command
from services.core.errors import InvalidInput
from services.core.text import pluralize
from services.gcp.clients import Clients
from services.nights.coverage_count import count_coverage
from services.nights.missing_players import LossReason, MissingPlayer
from services.nights.player_stages import NightStatus
from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.runs.run_context import RunContext, load_run_context
from services.scaling.capacity import MAX_CAPACITY
from services.staging.running_batch import check_no_batch_runs, unknown_whether_batch_runs

DEFAULT_ROWS_PER_PLAYER = 25  # five systems × five lines, until the night itself shows another number


def parse_game_date(args: Params) -> date:
    try:
        return date.fromisoformat(str(args.get("game_date")))
    except ValueError:
        raise InvalidInput(f"{args.get('game_date')!r} is not a game date.", "Write it as 2025-12-29.") from None


def plan_start(clients: Clients, args: Params) -> Plan:
    """Run `game_date`: only the players whom a run repairs (`players` chooses among them), or with scope "date" everybody again."""
    game_date, scope = parse_game_date(args), args.get("scope", "lost")
    if scope not in ("lost", "date"):
        raise InvalidInput(f"{scope!r} is no scope of a run.", "It is lost or date.")
    if "players" in args and not args["players"]:
        raise InvalidInput("No player was chosen, so there is nothing to run.", "Choose players first.")
    context = load_run_context(clients, game_date)
    selected = _select_players(context, args.get("players"))
    full_date = scope == "date" or not context.night.was_run or not context.supports("players")
    return _plan(clients, game_date, args, context, selected, full_date)


def _select_players(context: RunContext, players: Sequence[str] | None) -> tuple[MissingPlayer, ...]:
    if players is None:
        return context.repairable
    unknown = sorted(set(players) - {m.player.player_lookup for m in context.repairable})
    if unknown:
        raise InvalidInput(
            f"Not among the players a run would repair: {', '.join(unknown[:5])}.", "Choose from the list."
        )
    return tuple(m for m in context.repairable if m.player.player_lookup in players)


def _plan(
    clients: Clients,
    game_date: date,
    args: Params,
    context: RunContext,
    selected: tuple[MissingPlayer, ...],
    full_date: bool,
) -> Plan:
    overwrites = full_date and context.active > 0
    body = build_start_body(game_date, context.night, None if full_date else [m.player.player_lookup for m in selected])
    return Plan(
        action_name="run.start",
        target=f"{game_date}",
        title=_title(game_date, context, selected, full_date),
        args=dict(args),
        preconditions={
            "lost": {m.player.player_lookup: str(m.reason) for m in selected},
            "active players": context.active,
            "batches": [f"{b.batch_id} {b.state}" for b in context.batches.batches[:5]]
            if context.batches
            else "unknown",
            "left in staging": [t.table for t in context.staging_tables or () if t.unmerged_rows != 0],
            "coordinator": f"{context.coordinator.url} {sorted(context.coordinator.supports)}"
            if context.coordinator
            else "down",
            "body": body,
        },
        changes=(*_row_changes(context, selected, full_date), *_player_changes(selected)),
        guards=tuple(_guards(clients, game_date, context, selected, full_date)),
        planned_at=clients.now(),
        undo="Not by a button. The table can be read as it was for a week; a run adds and updates rows, it deletes none.",
        cost="One count and one MERGE over the rows of the date; the plan billed"
        f" {sum(s.bytes_billed for s in context.night.sources) / 2**20:,.0f} MiB.",
        confirmation=Confirmation.TYPED if overwrites else Confirmation.ONE_CLICK,
        confirmation_text=str(game_date) if overwrites else "",
        warnings=tuple(_warnings(context, full_date, clients.now())),
        commands=(_start_command(clients, context, body),),
        coverage=count_coverage(context.night),
        sources=context.night.sources,
    )


def build_start_body(game_date: date, night: NightStatus, players: Sequence[str] | None) -> dict[str, Any]:
    """What /start is sent; without `players` it means everybody. `force` only where the date has run before."""
    body: dict[str, Any] = {"game_date": game_date.isoformat()}
    if night.was_run:
        body["force"] = True
    return body if players is None else {**body, "players": list(players)}


def _title(game_date: date, context: RunContext, selected: tuple[MissingPlayer, ...], full_date: bool) -> str:
    day = f"{game_date:%a} {game_date.day} {game_date:%b %Y}"
    if not context.night.was_run:
        return f"Start the run of {day} ({context.eligible} players)"
    if full_date:
        return f"Re-run all {context.eligible} players of {day}"
    return f"Re-run {describe_selected(selected)} of {day}"


def describe_selected(selected: Sequence[MissingPlayer]) -> str:
    """The players a run would repair: "90 lost players", "9 lost and 3 incomplete players", "2 players with an old line"."""
    old_line = sum(m.reason is LossReason.LINE_MOVED for m in selected)
    incomplete = sum(m.reason is LossReason.INCOMPLETE for m in selected)
    lost = len(selected) - incomplete - old_line
    parts = [f"{count:,} {word}" for count, word in ((lost, "lost"), (incomplete, "incomplete")) if count]
    players = "player" if (incomplete or lost) == 1 else "players"
    with_old_line = [pluralize(old_line, "player") + " with an old line"] if old_line else []
    return ", ".join([*([f"{' and '.join(parts)} {players}"] if parts else []), *with_old_line]) or "0 lost players"


def _row_changes(context: RunContext, selected: tuple[MissingPlayer, ...], full_date: bool) -> Iterator[Change]:
    rows_per_player = round(context.night.active_rows / context.active) if context.active else DEFAULT_ROWS_PER_PLAYER
    active = [m for m in selected if m.player.active_rows]
    row_counts = [m.player.generated_rows if m.rows_missing is None else m.rows_missing for m in selected]
    known_counts = [rows for rows in row_counts if rows]
    added = sum(known_counts) + rows_per_player * (len(row_counts) - len(known_counts))
    basis = (
        "as generated before"
        if len(known_counts) == len(row_counts)
        else f"{rows_per_player} a player where nothing was generated yet"
    )
    active_rows = context.night.active_rows
    replaced_rows, replaced_players = (
        (active_rows, context.active) if full_date else (sum(m.player.active_rows or 0 for m in active), len(active))
    )
    replaced = (
        f"{replaced_rows:,} of {pluralize(replaced_players, 'player')}, each updated where its values differ"
        if replaced_rows
        else "none"
    )
    yield Change(
        "players active",
        f"{context.active} of {context.eligible}",
        f"{context.active + len(selected) - len(active)} of {context.eligible}",
    )
    yield Change("rows added", f"{active_rows:,} active now", f"+{added:,} ({basis})")
    yield Change("rows replaced", "", replaced)
    yield Change("rows deactivated", "", "only older lines of the same players, where a line has moved since")
    requested = {p.player_lookup for p in context.night.eligible_players if full_date} or {
        m.player.player_lookup for m in selected
    }
    for left in context.night.left_games:
        if left.player_lookup in requested:
            yield Change(
                f"{left.player_lookup}, game {left.game_id}",
                f"{pluralize(left.active_rows, 'active row')}",
                "superseded: the player is in the context of another game now",
            )


def _player_changes(selected: tuple[MissingPlayer, ...]) -> Iterator[Change]:
    for m in selected:
        before = str(m.reason) if not m.player.active_rows else f"{m.reason}: {m.evidence}"
        yield Change(m.player.player_name or m.player.player_lookup, before, "asked for again")


def _guards(
    clients: Clients, game_date: date, context: RunContext, selected: tuple[MissingPlayer, ...], full_date: bool
) -> Iterator[Guard]:
    games = context.night.games
    yield Guard("games", bool(games), f"{game_date} has {games or 'no'} games.")
    days_ahead = (game_date - eastern_day(clients.now())).days
    yield Guard(
        "date",
        days_ahead <= 1,
        "The date is today's, tomorrow's or past." if days_ahead <= 1 else f"{game_date} is {days_ahead} days away.",
    )
    has_players = bool(selected) or (full_date and context.eligible > 0)
    yield Guard(
        "somebody to run",
        has_players,
        f"{len(selected)} players would be repaired." if has_players else "Nobody is lost that a run would repair.",
    )
    yield from _conflict_guards(context)
    yield _capacity_guard(context)


def _conflict_guards(context: RunContext) -> Iterator[Guard]:
    reachable = context.coordinator is not None
    yield Guard(
        "coordinator",
        True if reachable else None,
        "The coordinator answers." if reachable else context.unreadable["coordinator"],
    )
    yield (
        check_no_batch_runs(context.batches, context.night.game_date)
        if context.batches
        else unknown_whether_batch_runs(context.night.game_date, context.unreadable["batches"])
    )
    if context.staging_tables is None:
        yield Guard("staging is clear", None, context.unreadable["staging"])
        return
    unmerged = [t for t in context.staging_tables if t.unmerged_rows != 0]
    message = (
        f"{len(unmerged)} staging tables of {unmerged[0].batch_id} still hold rows: consolidate or drop them first."
        if unmerged
        else ""
    )
    yield Guard("staging is clear", not unmerged, message or "No staging table of this date holds rows of its own.")


def _capacity_guard(context: RunContext) -> Guard:
    """Our coordinator stages and merges once, so only the API's limit counts; another may let every worker MERGE."""
    limit = MAX_CAPACITY if context.supports("resume") else MAX_OUTSTANDING_DML
    if "width" in context.unreadable:
        return Guard("width", None, context.unreadable["width"])
    ok = context.worker_capacity is not None and context.worker_capacity <= limit
    return Guard(
        "width",
        ok,
        f"The workers take {context.worker_capacity or 'any number of'} requests at once;"
        f" {limit} are safe{'' if ok else ': narrow them first'}.",
    )


def _warnings(context: RunContext, full_date: bool, now: datetime) -> Iterator[str]:
    night = context.night
    if full_date and night.active_rows:
        by_system = ", ".join(f"{system.system_id} {system.active:,}" for system in night.systems if system.active)
        yield (
            f"It overwrites what is there: {night.active_rows:,} active rows of {pluralize(context.active, 'player')},"
            f" where their values differ ({by_system})."
        )
    if begun := sum(at <= now for at in night.tip_offs):
        yield f"{begun} of {night.games} games have begun: rows of their players are marked as made after tip-off."
    if unknown := max(night.games - len(night.tip_offs), 0):
        yield f"When {unknown} of {night.games} games begin is not known: whether rows are made before tip-off is left open."
    for player in night.eligible_players:
        if player.shares_lookup_with:
            yield f"{player.player_lookup} of {player.team} is not requested: shares its lookup key with {player.shares_lookup_with}."
    if full_date and context.night.was_run and not context.supports("players"):
        yield "This coordinator cannot run single players: the smallest safe unit is the whole date."
    count_by_reason = Counter(
        str(m.reason) for m in context.repairable if m.reason in (LossReason.NOT_GENERATED, LossReason.UNEXPLAINED)
    )
    for reason, count in count_by_reason.items():
        yield f"{count} players were lost as “{reason}”: a run repairs them only if its cause is gone."
    if "history" in context.unreadable:
        yield f"Not readable: the nights before, so only what was generated shows who is incomplete. {context.unreadable['history']}"
    for problem in context.night.problems:
        yield f"Not readable: {problem.source}. {problem.message}"


def _start_command(clients: Clients, context: RunContext, body: dict[str, Any]) -> str:
    url = context.coordinator.url if context.coordinator else "$COORDINATOR_URL"
    return curl_command(clients.settings, "/start", body, url)
