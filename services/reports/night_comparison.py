"""Two game dates side by side: every figure of both, those that differ worst first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

from services.core.clock import format_eastern, format_short_day, night_window
from services.core.result import SEVERITY_ORDER, Health, worst
from services.core.text import pluralize
from services.judgement.facts import NightFacts
from services.judgement.judge import NightJudgement
from services.judgement.statement import Subject
from services.nights.balance import balance
from services.nights.coverage import NightCoverage, funnel, wrote_directly
from services.nights.missing_players import REASONS_BY_SEVERITY, LossReason
from services.nights.player_stages import Stage
from services.nights.rows import LINE_OF_ROW
from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.scaling.deploys import Deploy, DeployHistory


@dataclass(frozen=True)
class Value:
    """A figure of one date. What is compared is the `amount`, where it has none the text; `names` are what it counts."""

    text: str
    health: Health = Health.NONE_EXPECTED
    amount: float | None = None
    unit: str = ""
    names: frozenset[str] | None = None


UNKNOWN = Value("unknown", Health.UNKNOWN)


@dataclass(frozen=True)
class ComparedFigure:
    """A figure of both dates; `page` has its evidence."""

    label: str
    page: str
    value: Value
    other: Value

    @property
    def is_known(self) -> bool:
        """Whether both dates have it."""
        return UNKNOWN not in (self.value, self.other)

    @property
    def is_equal(self) -> bool:
        """Whether both are known to be the same: the same share or number a game, where slates are not of one size."""
        if not self.is_known or self.value.names != self.other.names:
            return False
        if self.value.amount is None or self.other.amount is None:
            return self.value.text == self.other.text
        return round(self.value.amount, 1) == round(self.other.amount, 1)

    @property
    def health(self) -> Health:
        """The worse of both."""
        return worst((self.value.health, self.other.health))

    @property
    def difference(self) -> str:
        """What the date has more or less than the other: "−49.1 pt", "without xgboost_v1"; "" where only texts differ."""
        names, others = self.value.names, self.other.names
        if names is not None and others is not None and names != others:
            parts = (("without", others - names), ("also", names - others))
            return "; ".join(f"{word} {', '.join(sorted(which))}" for word, which in parts if which)
        if self.value.amount is None or self.other.amount is None or self.is_equal:
            return ""
        step, unit = self.value.amount - self.other.amount, self.value.unit or self.other.unit
        return f"{'+' if step > 0 else '−'}{abs(step):,.{1 if unit else 0}f} {unit}".strip()

    @property
    def weight(self) -> float:
        """How far both are apart, from 0 to 1."""
        if self.value.amount is None or self.other.amount is None:
            return float(not self.is_equal)
        largest = max(abs(self.value.amount), abs(self.other.amount))
        return abs(self.value.amount - self.other.amount) / largest if largest else 0.0


@dataclass(frozen=True)
class NightComparison:
    """Two dates: what differs or is unknown of either, worst first, and what is the same."""

    game_date: date
    other_date: date
    differing: tuple[ComparedFigure, ...]
    equal: tuple[ComparedFigure, ...]

    @property
    def headline(self) -> str:
        """29 Dec against 28 Dec: 14 of 22 figures differ."""
        unknown = sum(not figure.is_known for figure in self.differing)
        figures = pluralize(len(self.differing) + len(self.equal), "figure")
        dates = f"{format_short_day(self.game_date)} against {format_short_day(self.other_date)}"
        unknown_text = f", {unknown} unknown" if unknown else ""
        return f"{dates}: {len(self.differing) - unknown} of {figures} differ{unknown_text}"


@dataclass(frozen=True)
class Night:
    """What is known of one of the two dates; `deploys` are those of the service that writes, oldest first, None: not read."""

    facts: NightFacts
    judgement: NightJudgement
    deploys: tuple[Deploy, ...] | None

    def health(self, subject: Subject) -> Health:
        """That of a statement about the date."""
        return self.judgement.get(subject).health


def find_night_before(days: Sequence[NightCoverage], game_date: date) -> date | None:
    """The last date before one that had games; None where none is known."""
    return max((day.game_date for day in days if day.games and day.game_date < game_date), default=None)


def describe_night(facts: NightFacts, judgement: NightJudgement, history: DeployHistory | None, worker: str) -> Night:
    """One of the dates; of the deploys those of the service `worker` that served."""
    if history is None:
        return Night(facts, judgement, None)
    served = (deploy for deploy in history.deploys if deploy.service == worker and not deploy.problem)
    return Night(facts, judgement, tuple(sorted(served, key=lambda deploy: deploy.at)))


def compare_nights(night: Night, other: Night) -> NightComparison:
    """Every figure of a date beside that of another."""
    losses = {reason for side in (night, other) for reason, _ in _losses(side) or ()}
    reasons = [reason for reason in REASONS_BY_SEVERITY if reason in losses]
    read: list[tuple[str, str, Callable[[Night], Value]]] = [
        *_FIGURES,
        *((f"Missing: {reason}", "missing_players", partial(_lost, reason)) for reason in reasons),
    ]
    figures = [ComparedFigure(label, page, value_of(night), value_of(other)) for label, page, value_of in read]
    differing = [figure for figure in figures if not figure.is_equal]
    differing.sort(key=lambda figure: (SEVERITY_ORDER.index(figure.health), -figure.weight))
    equal = tuple(figure for figure in figures if figure.is_equal)
    return NightComparison(night.facts.game_date, other.facts.game_date, tuple(differing), equal)


def _losses(side: Night) -> list[tuple[LossReason, int]] | None:
    """The eligible players without an active row, by reason; None where the players are unknown."""
    if side.facts.night.value is None:
        return None
    totals = balance(side.facts.night.value)
    return [*totals.classified, *([(LossReason.UNEXPLAINED, totals.unexplained)] if totals.unexplained else [])]


def _lost(reason: LossReason, side: Night) -> Value:
    losses = _losses(side)
    if losses is None:
        return UNKNOWN
    count = dict(losses).get(reason, 0)
    return Value(f"{count:,}", side.health(Subject.PLAYERS) if count else Health.OK, count)


# --- players ------------------------------------------------------------------------------------------------------------


def _coverage(side: Night) -> Value:
    night, players = side.facts.night.value, side.judgement.get(Subject.PLAYERS)
    if night is None or players.part is None or players.whole is None:
        return UNKNOWN
    if not players.whole:
        return Value("none eligible" if night.games else "no games")
    if night.was_run is False and not players.part:
        return Value("not run yet", players.health)
    pct = 100 * players.part / players.whole
    return Value(f"{pct:.1f}%, {players.part:,} of {players.whole:,}", players.health, pct, "pt")


def _input(stage: Stage, side: Night) -> Value:
    """Players at a stage that the night is predicted from, by the game: slates are not of one size."""
    night = side.facts.night.value
    count = funnel(night).players[stage] if night is not None else None
    if night is None or count is None:
        return UNKNOWN
    if not night.games:
        return Value(f"{count:,}", side.health(Subject.INPUTS), 0.0, "a game")
    per_game = count / night.games
    return Value(f"{count:,}, {per_game:.1f} a game", side.health(Subject.INPUTS), per_game, "a game")


def _stage(stage: Stage, side: Night) -> Value:
    """Players at a stage of the run, as a share of the eligible."""
    if side.facts.night.value is None:
        return UNKNOWN
    reached = funnel(side.facts.night.value, side.facts.writes.value)
    count, eligible = reached.players[stage], reached.players[Stage.ELIGIBLE]
    if count is None:
        return Value(reached.notes[stage]) if stage in reached.notes else UNKNOWN
    return (
        Value(f"{count:,}, {100 * count / eligible:.1f}%", amount=100 * count / eligible, unit="pt")
        if eligible
        else Value(f"{count:,}")
    )


def _games(side: Night) -> Value:
    night = side.facts.night.value
    return UNKNOWN if night is None else Value(f"{night.games:,}", amount=night.games)


# --- rows ---------------------------------------------------------------------------------------------------------------


def _rows(side: Night) -> Value:
    night = side.facts.night.value
    if night is None:
        return UNKNOWN
    if not night.active_players:
        return Value(f"{night.active_rows:,}", side.health(Subject.ROWS), 0.0, "a player")
    per_player = night.active_rows / night.active_players
    return Value(f"{night.active_rows:,}, {per_player:.1f} a player", side.health(Subject.ROWS), per_player, "a player")


def _systems(side: Night) -> Value:
    night = side.facts.night.value
    if night is None:
        return UNKNOWN
    names = frozenset(system.system_id for system in night.systems if system.keys)
    return Value(f"{len(names)}", side.health(Subject.ROWS), len(names), names=names)


def _duplicates(side: Night) -> Value:
    night = side.facts.night.value
    if night is None:
        return UNKNOWN
    if LINE_OF_ROW in night.absent_columns:
        return Value("not recorded")
    doubled = sum(system.doubled for system in night.systems)
    return Value(f"{doubled:,}", Health.CRITICAL if doubled else Health.OK, doubled)


def _only_staged(side: Night) -> Value:
    staging = side.judgement.get(Subject.STAGING)
    return UNKNOWN if staging.part is None else Value(f"{staging.part:,}", staging.health, staging.part)


# --- writes, capacity, batches ------------------------------------------------------------------------------------------


def _writes(side: Night) -> Value:
    """How many statements wrote the rows, and whether workers ran them or a consolidation."""
    report, night = side.facts.writes.value, side.facts.night.value
    if report is None or report.attempted is None or night is None:
        return UNKNOWN
    is_direct, is_staged = wrote_directly(night, report), any(p.staged_rows for p in night.eligible_players)
    count = pluralize(report.attempted, "direct write" if is_direct and not is_staged else "write")
    how = ", partly direct" if is_direct and is_staged else ", from staging" if is_staged else ""
    return Value(f"{count}{how}", Health.WARNING if is_direct else Health.OK, report.attempted)


def _rejected(side: Night) -> Value:
    report = side.facts.writes.value
    if report is None or report.rejected is None or report.attempted is None:
        return UNKNOWN
    pct_text = f" ({report.rejected_pct:.1f}%)" if report.rejected else ""
    health = side.health(Subject.WRITES) if report.rejected else Health.OK
    return Value(f"{report.rejected:,} of {report.attempted:,}{pct_text}", health, report.rejected)


def _peak(side: Night) -> Value:
    report = side.facts.writes.value
    if report is None or report.peak_outstanding is None:
        return UNKNOWN
    peak = report.peak_outstanding
    health = side.health(Subject.WRITES) if peak >= MAX_OUTSTANDING_DML else Health.OK
    return Value(f"{peak:,} of {MAX_OUTSTANDING_DML}", health, peak)


def _capacity(side: Night) -> Value:
    """Instances × requests of the worker when the date's first run began, and what they were changed to that night."""
    began, (_, end) = _first_run(side.facts), night_window(side.facts.game_date)
    before = [deploy for deploy in side.deploys or () if deploy.at <= began]
    if not before:
        return UNKNOWN
    size = before[-1].max_instances * before[-1].concurrency
    changes = _changes(before[-1], [d for d in side.deploys or () if began < d.at < end])
    text = "".join((before[-1].capacity_text, *changes))
    return Value(text, Health.WARNING if size > MAX_OUTSTANDING_DML else Health.OK)


def _changes(serving: Deploy, later: Sequence[Deploy]) -> Iterator[str]:
    for deploy in later:
        if deploy.capacity_text != serving.capacity_text:
            yield f", {deploy.capacity_text} from {format_eastern(deploy.at)}"
        serving = deploy


def _first_run(facts: NightFacts) -> datetime:
    """When the date's first run began: by its batches, else by its writes; its night's begin where neither says so."""
    started = [batch.started for batch in (facts.batches.value.batches if facts.batches.value else ()) if batch.started]
    written = [attempt.at for attempt in (facts.writes.value.attempts if facts.writes.value else ())]
    return min(started or written or [night_window(facts.game_date)[0]])


def _batches(side: Night) -> Value:
    batches = side.facts.batches.value
    if batches is None or batches.problems:
        return UNKNOWN
    states = ", ".join(str(batch.state) for batch in reversed(batches.batches))
    return Value(f"{len(batches.batches)}{': ' if states else ''}{states}", side.health(Subject.BATCH))


_FIGURES: tuple[tuple[str, str, Callable[[Night], Value]], ...] = (
    ("Coverage", "coverage", _coverage),
    ("Games", "coverage", _games),
    *(
        (str(s).capitalize(), "coverage", partial(_input, s))
        for s in (Stage.WITH_ODDS, Stage.IN_CONTEXT, Stage.ELIGIBLE)
    ),
    *(
        (str(s).capitalize(), "missing_players", partial(_stage, s))
        for s in (Stage.REQUESTED, Stage.GENERATED, Stage.STAGED, Stage.WRITTEN)
    ),
    ("Active rows", "coverage", _rows),
    ("Systems", "coverage", _systems),
    ("Duplicate keys", "coverage", _duplicates),
    ("Players only in staging", "staging_tables", _only_staged),
    ("Writes", "dml_errors", _writes),
    ("Rejected writes", "dml_errors", _rejected),
    ("Peak concurrent DML", "dml_errors", _peak),
    ("Worker capacity", "worker_capacity", _capacity),
    ("Batches", "runs", _batches),
)  # label, page with the evidence, its value of a date
