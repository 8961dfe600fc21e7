"""Plans for runs: which players and for which reason, how many rows come and which they replace, what blocks the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

from services.actions.plan import TITLE_SEPARATOR, Change, Confirmation, Figure, Guard, Params, Plan
from services.core.clock import eastern_day, format_day
from services.core.commands import curl_command
from services.core.errors import InvalidInput
from services.core.text import pluralize
from services.gcp.clients import Clients
from services.nights.coverage_count import count_coverage
from services.nights.missing_players import LossReason, MissingPlayer
from services.nights.player_stages import NightStatus
from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.runs.finish import describe_finish, estimate_duration
from services.runs.run_context import RunContext, load_run_context
from services.scaling.capacity import MAX_CAPACITY
from services.staging.running_batch import check_no_batch_runs, unknown_whether_batch_runs

DEFAULT_ROWS_PER_PLAYER = 25  # five systems × five lines, until the night itself shows another number


def parse_game_date(args: Params) -> date:
    try:
        return date.fromisoformat(str(args.get("game_date")))
    except ValueError:
        raise InvalidInput(f"{args.get('game_date')!r} is not a game date.", "Expected YYYY-MM-DD.") from None


def plan_start(clients: Clients, args: Params) -> Plan:
    """Run `game_date`: only the players that a run fixes (`players` selects among them), or with scope "date" all players again."""
    game_date, scope = parse_game_date(args), args.get("scope", "lost")
    if scope not in ("lost", "date"):
        raise InvalidInput(f"{scope!r} is not a scope of a run.", "Use lost or date.")
    if "players" in args and not args["players"]:
        raise InvalidInput("No players selected.", "Select at least one player.")
    context = load_run_context(clients, game_date)
    selected = _select_players(context, args.get("players"))
    full_date = scope == "date" or not context.night.was_run or not context.supports("players")
    return _plan(clients, game_date, args, context, selected, full_date)


def _select_players(context: RunContext, players: Sequence[str] | None) -> tuple[MissingPlayer, ...]:
    if players is None:
        return context.repairable
    unknown = sorted(set(players) - {m.player.player_lookup for m in context.repairable})
    if unknown:
        raise InvalidInput(f"A run would not fix: {', '.join(unknown[:5])}.", "Select players from the list.")
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
        figures=tuple(_figures(context, selected, full_date, clients.now())),
        changes=(*_player_changes(selected), *_left_game_changes(context, selected, full_date)),
        item="player",
        guards=tuple(_guards(clients, game_date, context, selected, full_date)),
        planned_at=clients.now(),
        undo="No one-click undo. Nothing is deleted; BigQuery time travel keeps the previous state for 7 days.",
        cost="1 count and 1 MERGE over the rows of the date. This plan billed"
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
    day = format_day(game_date)
    if not context.night.was_run:
        return f"Start run of {pluralize(context.eligible, 'player')}{TITLE_SEPARATOR}{day}"
    if full_date:
        return f"Re-run all {pluralize(context.eligible, 'player')}{TITLE_SEPARATOR}{day}"
    return f"Re-run {describe_selected(selected)}{TITLE_SEPARATOR}{day}"


def describe_selected(selected: Sequence[MissingPlayer]) -> str:
    """The players a run would repair: "90 players", "9 missing and 3 incomplete players", "2 players with an old line"."""
    old_line = sum(m.reason is LossReason.LINE_MOVED for m in selected)
    incomplete = sum(m.reason is LossReason.INCOMPLETE for m in selected)
    missing = len(selected) - incomplete - old_line
    if not incomplete and not old_line:
        return pluralize(missing, "player")
    parts = [f"{count:,} {word}" for count, word in ((missing, "missing"), (incomplete, "incomplete")) if count]
    players = "player" if (incomplete or missing) == 1 else "players"
    with_old_line = [pluralize(old_line, "player") + " with an old line"] if old_line else []
    return ", ".join([*([f"{' and '.join(parts)} {players}"] if parts else []), *with_old_line])


def _figures(
    context: RunContext, selected: tuple[MissingPlayer, ...], full_date: bool, now: datetime
) -> Iterator[Figure]:
    night, eligible = context.night, context.eligible
    added_players = sum(not m.player.active_rows for m in selected)
    active = context.active + added_players
    yield Figure(
        "Active players", f"{context.active:,}", f"{active:,}", f"+{added_players:,}, of {eligible:,} eligible"
    )
    added, basis = _added_rows(context, selected)
    replaced = night.active_rows if full_date else sum(m.player.active_rows or 0 for m in selected)
    players = context.active if full_date else len(selected) - added_players
    note = f"+{added:,} {basis}" + (
        f"; {pluralize(replaced, 'row')} of {pluralize(players, 'player')} updated where values differ"
        if replaced
        else ""
    )
    yield Figure("Active rows", f"{night.active_rows:,}", f"{night.active_rows + added:,}", note)
    requested = eligible if full_date else len(selected)
    duration = estimate_duration(context.batches.batches if context.batches else (), requested)
    finish = describe_finish(now, duration, night.tip_offs, night.games)
    yield Figure("Coverage", _percent(context.active, eligible), _percent(active, eligible), finish)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "none eligible"


def _added_rows(context: RunContext, selected: tuple[MissingPlayer, ...]) -> tuple[int, str]:
    """How many rows come, and on what that number is based."""
    rows_per_player = round(context.night.active_rows / context.active) if context.active else DEFAULT_ROWS_PER_PLAYER
    row_counts = [m.player.generated_rows if m.rows_missing is None else m.rows_missing for m in selected]
    known_counts = [rows for rows in row_counts if rows]
    estimated = len(row_counts) - len(known_counts)
    basis = f"({rows_per_player} a player where none was generated yet)" if estimated else "as generated before"
    return sum(known_counts) + rows_per_player * estimated, basis


def _left_game_changes(context: RunContext, selected: tuple[MissingPlayer, ...], full_date: bool) -> Iterator[Change]:
    requested = {p.player_lookup for p in context.night.eligible_players if full_date} or {
        m.player.player_lookup for m in selected
    }
    for left in context.night.left_games:
        if left.player_lookup in requested:
            yield Change(
                f"{left.player_lookup}, game {left.game_id}",
                pluralize(left.active_rows, "active row"),
                "superseded: the context has the player in another game now",
            )


def _player_changes(selected: tuple[MissingPlayer, ...]) -> Iterator[Change]:
    for m in selected:
        before = str(m.reason) if not m.player.active_rows else f"{m.reason}: {m.evidence}"
        yield Change(m.player.player_name or m.player.player_lookup, before, "re-requested")


def _guards(
    clients: Clients, game_date: date, context: RunContext, selected: tuple[MissingPlayer, ...], full_date: bool
) -> Iterator[Guard]:
    games = context.night.games
    yield Guard("games", bool(games), f"{game_date} has {pluralize(games, 'game') if games else 'no games'}.")
    days_ahead = (game_date - eastern_day(clients.now())).days
    yield Guard(
        "date",
        days_ahead <= 1,
        f"{game_date} is not after tomorrow." if days_ahead <= 1 else f"{game_date} is {days_ahead} days ahead.",
    )
    has_players = bool(selected) or (full_date and context.eligible > 0)
    yield Guard(
        "players to run",
        has_players,
        f"{pluralize(context.eligible if full_date else len(selected), 'player')} to request."
        if has_players
        else "No missing player would be fixed by a run.",
    )
    yield from _conflict_guards(context)
    yield _capacity_guard(context)


def _conflict_guards(context: RunContext) -> Iterator[Guard]:
    reachable = context.coordinator is not None
    yield Guard(
        "coordinator",
        True if reachable else None,
        "The coordinator responds." if reachable else context.unreadable["coordinator"],
    )
    yield (
        check_no_batch_runs(context.batches, context.night.game_date)
        if context.batches
        else unknown_whether_batch_runs(context.night.game_date, context.unreadable["batches"])
    )
    if context.staging_tables is None:
        yield Guard("staging clear", None, context.unreadable["staging"])
        return
    unmerged = [t for t in context.staging_tables if t.unmerged_rows != 0]
    message = (
        f"{pluralize(len(unmerged), 'staging table')} of {unmerged[0].batch_id} still hold rows: consolidate or drop them first."
        if unmerged
        else ""
    )
    yield Guard("staging clear", not unmerged, message or "No unmerged staging rows for this date.")


def _capacity_guard(context: RunContext) -> Guard:
    """Our coordinator stages and merges once, so only the API's limit counts; another may let every worker MERGE."""
    limit = MAX_CAPACITY if context.supports("resume") else MAX_OUTSTANDING_DML
    if "width" in context.unreadable:
        return Guard("worker capacity", None, context.unreadable["width"])
    ok = context.worker_capacity is not None and context.worker_capacity <= limit
    return Guard(
        "worker capacity",
        ok,
        f"{context.worker_capacity or 'Unbounded'} concurrent requests, safe limit {limit}"
        f"{'' if ok else ': reduce the capacity first'}.",
    )


def _warnings(context: RunContext, full_date: bool, now: datetime) -> Iterator[str]:
    night = context.night
    if full_date and night.active_rows:
        by_system = ", ".join(f"{system.system_id} {system.active:,}" for system in night.systems if system.active)
        yield (
            f"Existing rows are overwritten: {night.active_rows:,} active rows of {pluralize(context.active, 'player')},"
            f" where their values differ ({by_system})."
        )
    if begun := sum(at <= now for at in night.tip_offs):
        yield f"{begun} of {night.games} games have begun: rows of their players are marked as made after tip-off."
    if unknown := max(night.games - len(night.tip_offs), 0):
        yield f"Tip-off of {unknown} of {night.games} games is unknown: their rows may be made after it."
    for player in night.eligible_players:
        if player.shares_lookup_with:
            yield f"{player.player_lookup} of {player.team} is not requested: shares its lookup key with {player.shares_lookup_with}."
    if full_date and context.night.was_run and not context.supports("players"):
        yield "This coordinator can't re-run individual players: the whole date will run."
    count_by_reason = Counter(
        str(m.reason) for m in context.repairable if m.reason in (LossReason.NOT_GENERATED, LossReason.UNEXPLAINED)
    )
    for reason, count in count_by_reason.items():
        yield f"{pluralize(count, 'player')} failed as “{reason}”: a re-run helps only if the cause is fixed."
    if "history" in context.unreadable:
        yield f"Earlier game dates unavailable: incomplete players are known by generated rows only. {context.unreadable['history']}"
    for problem in context.night.problems:
        yield f"Could not read {problem.source}. {problem.message}"


def _start_command(clients: Clients, context: RunContext, body: dict[str, Any]) -> str:
    url = context.coordinator.url if context.coordinator else "$COORDINATOR_URL"
    return curl_command(clients.settings, "/start", body, url)
