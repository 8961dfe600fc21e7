"""Reports about one night: its judgement, its players, rows by system; the nights before it, and one of them beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from services.alerts.facts import fetch
from services.batches.newest_record import read_newest_record
from services.batches.reader import Batches, read_batches
from services.cli.report import Report, Row, Table
from services.core.errors import InvalidInput
from services.core.result import Health, Problem, Result, worst
from services.core.text import pluralize
from services.gcp.clients import Clients
from services.gcp.concurrent_reads import concurrent_reads
from services.judgement.facts import NightFacts, nights_before
from services.judgement.judge import NightJudgement, judge_night
from services.judgement.statement import Subject, list_problems
from services.nights.balance import balance
from services.nights.coverage import read_history
from services.nights.missing_players import MissingPlayer, list_missing_players
from services.nights.night_writes import read_night_writes
from services.nights.player_stages import NightStatus, PlayerStatus, read_night
from services.nights.row_counts import count_rows
from services.reports.night_comparison import UNKNOWN, ComparedFigure, compare_nights, describe_night
from services.runs.run_context import list_partly_there
from services.scaling.deploys import read_deploy_history

MAX_NIGHTS = 200  # of one coverage report: a season


@dataclass(frozen=True)
class PlayerFilter:
    """Which missing players are listed: of a reason, with a text in name, team, evidence or lookup; the ineligible ones on request."""

    reason: str = ""
    text: str = ""
    ineligible: bool = False

    def matches(self, entry: MissingPlayer, row: Row) -> bool:
        """Whether the player is listed."""
        wanted = self.ineligible or not entry.intentional
        return (
            wanted
            and self.reason in ("", entry.reason)
            and self.text.lower() in " ".join(map(str, row.values())).lower()
        )


def read_facts(clients: Clients, game_date: date) -> NightFacts:
    """What a night is judged on, read concurrently; what cannot be read is unknown, with its problem."""
    with concurrent_reads() as pool:
        night = pool.submit(fetch, clients, "The warehouse", lambda: read_night(clients, game_date))
        batches = pool.submit(fetch, clients, "The list of batches", lambda: read_batches(clients, game_date))
        writes = pool.submit(fetch, clients, "The job history", lambda: read_night_writes(clients, game_date))
        usual = pool.submit(
            fetch, clients, "The coverage history", lambda: read_history(clients, *nights_before(game_date))
        )
        record = pool.submit(fetch, clients, "The ledger", lambda: read_newest_record(clients, game_date))
    return NightFacts(
        game_date,
        clients.now(),
        night.result(),
        batches.result(),
        writes.result(),
        usual.result(),
        record.result(),
    )


def judge(clients: Clients, game_date: date) -> tuple[NightFacts, NightJudgement]:
    """What a night is judged on, and its judgement."""
    facts = read_facts(clients, game_date)
    return facts, judge_night(facts, clients.settings)


def list_night_problems(facts: NightFacts) -> tuple[Problem, ...]:
    """Why something of the night is unknown, old or partial, each once."""
    readings = (facts.night, facts.batches, facts.writes, facts.usual, facts.record)
    partial = (problem for reading in readings for problem in getattr(reading.value, "problems", ()))
    return tuple(dict.fromkeys((*list_problems(readings), *partial)))


def night_report(clients: Clients, game_date: date) -> Report:
    """The judgement of a night: the one of every page."""
    facts, judgement = judge(clients, game_date)
    rows = tuple(
        {
            "subject": str(statement.subject),
            "state": statement.health if statement.recorded else statement.state,
            "count": statement.part,
            "of": statement.whole,
            "statement": statement.sentence,
        }
        for statement in judgement.statements
    )
    # Not every statement is a count: an empty cell is none, "unknown" is said by the statement.
    rows = tuple({k: "" if v is None else v for k, v in row.items()} for row in rows)
    repairs = [str(repair) for repair in judgement.repairs]
    return Report(
        f"Night of {game_date}",
        judgement.health,
        judgement.headline,
        (*judgement.details, *((f"To repair: {'; '.join(repairs)}.",) if repairs else ())),
        (Table("statements", rows, ""),),
        list_night_problems(facts),
        judgement.sources,
        facts={"game_date": game_date, "repairs": repairs},
    )


def missing_report(clients: Clients, game_date: date, players: PlayerFilter) -> Report:
    """Who is missing or only partly there: the stage, the reason, the evidence and the fix of each."""
    facts, judgement = judge(clients, game_date)
    title, night = f"Missing players, night of {game_date}", facts.night.value
    if night is None:
        return unknown_report(title, facts.night)
    counts = count_rows(night, facts.usual.value, clients.settings)
    entries = (*list_missing_players(night), *list_partly_there(night, counts, clients.now()))
    listed = [row for entry in entries if players.matches(entry, row := _missing_row(entry))]
    totals = balance(night)
    terms = [f"{totals.active:,} active", *(f"{count:,} {reason}" for reason, count in totals.classified)]
    statement = judgement.get(Subject.PLAYERS)
    return Report(
        title,
        worst(judgement.get(subject).health for subject in (Subject.PLAYERS, Subject.ROWS, Subject.LINES)),
        statement.sentence,
        (f"{totals.expected:,} expected = {' + '.join(terms)} + {totals.unexplained:,} unexplained.",),
        (Table("players", tuple(listed), "No player matches." if entries else "Nobody is missing."),),
        list_night_problems(facts),
        night.sources,
        facts={
            "game_date": game_date,
            "expected": totals.expected,
            "active": totals.active,
            "missing": {str(reason): count for reason, count in totals.classified},
            "unexplained": totals.unexplained,
        },
    )


def _missing_row(entry: MissingPlayer) -> Row:
    player = entry.player
    return {
        "player": player.player_name or player.player_lookup,
        "team": player.team,
        "opponent": player.opponent,
        "dropped at": str(entry.dropped_at),
        "reason": str(entry.reason),
        "evidence": entry.evidence,
        "fix": entry.repair,
        "lookup": player.player_lookup,
        "batch": player.batch_id,
    }


def unknown_report(title: str, reading: Result[NightStatus] | Result[Batches]) -> Report:
    """A report on what could not be read."""
    problems = list_problems((reading,))
    return Report(title, Health.UNKNOWN, problems[0].message if problems else "unknown", problems=problems)


def players_report(clients: Clients, game_date: date, text: str) -> Report:
    """Every player of a night with the stages he reached and his rows at each; `text` selects by name, team or game."""
    facts, judgement = judge(clients, game_date)
    title, night = f"Players, night of {game_date}", facts.night.value
    if night is None:
        return unknown_report(title, facts.night)
    rows = tuple(
        row
        for player in night.players
        if text.lower() in " ".join(map(str, (row := _player_row(player)).values())).lower()
    )
    statement = judgement.get(Subject.PLAYERS)
    details = (f"{pluralize(night.written_rows, 'row')} of this date, {night.active_rows:,} of them active.",)
    table = Table("players", rows, "No player matches.")
    return Report(
        title, statement.health, statement.sentence, details, (table,), list_night_problems(facts), night.sources
    )


def _player_row(player: PlayerStatus) -> Row:
    return {
        "player": player.player_name or player.player_lookup,
        "lookup": player.player_lookup,
        "team": player.team,
        "game": player.game_id or "",
        "odds": player.has_odds,
        "context": player.in_context,
        "eligible": player.eligible,
        "requested": player.requested,
        "generated": player.generated_rows,
        "staged": player.staged_rows,
        "written": player.written_rows,
        "active": player.active_rows,
        "systems": len({system for system, _ in player.keys}),
        "ineligible": player.not_eligible_reason,
    }


def systems_report(clients: Clients, game_date: date) -> Report:
    """Players and rows of each system: active of those expected, missing, doubled, superseded."""
    facts, judgement = judge(clients, game_date)
    title, night = f"Rows by system, night of {game_date}", facts.night.value
    if night is None:
        return unknown_report(title, facts.night)
    counts = count_rows(night, facts.usual.value, clients.settings)
    rows = tuple(
        {
            "system": system.system_id,
            "players": system.found.players,
            "players expected": system.players_expected,
            "rows active": system.found.active,
            "rows expected": system.rows_expected,
            "rows missing": system.missing,
            "keys doubled": system.found.doubled,
            "superseded": system.found.superseded,
        }
        for system in counts.systems
    )
    statement = judgement.get(Subject.ROWS)
    table = Table("systems", rows, "No system has a row for this night.")
    return Report(title, statement.health, statement.sentence, (), (table,), list_night_problems(facts), night.sources)


def coverage_report(clients: Clients, last: date, nights: int) -> Report:
    """Players at each stage of the nights up to `last`, the newest first."""
    if not 1 <= nights <= MAX_NIGHTS:
        raise InvalidInput(f"{nights} nights cannot be read at once.", f"Ask for 1 to {MAX_NIGHTS}.")
    first = last - timedelta(days=nights - 1)
    history = read_history(clients, first, last)
    days = tuple(reversed(history.days))
    rows = tuple(
        {
            "game date": day.game_date,
            "state": day.state if day.pending else day.health,
            "games": day.games,
            "with odds": day.with_odds,
            "in context": day.in_context,
            "eligible": day.eligible,
            "active": day.active,
            "% of eligible": "" if not day.eligible else day.active_pct(day.eligible),
            "rows": day.active_rows,
            "systems": len(day.by_system),
        }
        for day in days
    )
    played = [day for day in days if day.games]
    below = [day for day in played if day.health in (Health.WARNING, Health.CRITICAL)]
    health = worst(day.health for day in played) if played else Health.NONE_EXPECTED
    headline = f"{len(below)} of {pluralize(len(played), 'night')} with games below the coverage threshold"
    table = Table("nights", rows, "No night is stored in this window.")
    return Report(f"Coverage, {first} to {last}", health, headline, (), (table,), (), history.sources)


def compare_report(clients: Clients, game_date: date, other_date: date) -> Report:
    """Every figure of a night beside that of another one: what differs, worst first, and what is equal."""
    if other_date == game_date:
        raise InvalidInput(f"{other_date} is the night itself.", "Name another one to compare it with.")
    with concurrent_reads() as pool:
        asked = [pool.submit(judge, clients, day) for day in (game_date, other_date)]
        deploys = fetch(clients, "Cloud Run", lambda: read_deploy_history(clients))
    judged = [night.result() for night in asked]
    worker = clients.settings.worker_service
    comparison = compare_nights(*(describe_night(*night, deploys.value, worker) for night in judged))
    problems = [problem for facts, _ in judged for problem in list_night_problems(facts)]
    problems += [deploys.problem] if deploys.problem is not None else []
    sources = [source for _, judgement in judged for source in judgement.sources]
    sources += [deploys.value.source] if deploys.value is not None else []
    return Report(
        f"Night of {game_date} against {other_date}",
        judged[0][1].health,
        comparison.headline,
        (),
        (
            Table("differing", tuple(map(_compared_row, comparison.differing)), "No figure differs."),
            Table("equal", tuple(map(_compared_row, comparison.equal)), "No figure is equal."),
        ),
        tuple(dict.fromkeys(problems)),
        tuple(dict.fromkeys(sources)),
        facts={"game_date": game_date, "other_date": other_date},
    )


def _compared_row(figure: ComparedFigure) -> Row:
    return {
        "figure": figure.label,
        "night": None if figure.value == UNKNOWN else figure.value.text,
        "other night": None if figure.other == UNKNOWN else figure.other.text,
        "difference": figure.difference,
        "state": figure.health,
    }
