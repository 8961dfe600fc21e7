"""The pipeline of a game date: its steps in order with the predictions among them, and the worst first in one sentence. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.core.result import Health, worst
from services.core.settings import Settings
from services.judgement.facts import NightFacts
from services.judgement.judge import NightJudgement
from services.judgement.statement import Subject
from services.phases.declaration import Phase, Step
from services.phases.judge import judge_steps
from services.phases.reader import NightPhases
from services.phases.report import TROUBLES, StepReport, StepState

PREDICTIONS = Step(
    "predictions", 60, "Predictions", Phase.AFTER, "Prediction on-call", "players", timedelta(hours=11, minutes=30)
)
_QUIET = (StepState.NOT_CONNECTED, StepState.NONE_EXPECTED)


@dataclass(frozen=True)
class Pipeline:
    """`steps` in their order: before the predictions, the predictions, after them, and what they are made of."""

    steps: tuple[StepReport, ...]

    @property
    def troubles(self) -> tuple[StepReport, ...]:
        """The steps in trouble, the first cause first, quality last."""
        return tuple(report for report in self.steps if report.state in TROUBLES)

    @property
    def health(self) -> Health:
        """That of the worst step; none expected where no step is."""
        return worst(report.health for report in self.steps)

    @property
    def headline(self) -> str:
        """The first trouble, or how many steps are done."""
        if self.troubles:
            text = self.troubles[0].problem
            return text[0].upper() + text[1:]
        expected = [report for report in self.steps if report.state not in _QUIET]
        unknown = sum(report.state is StepState.UNKNOWN for report in expected)
        if unknown:
            return f"{unknown} of {len(expected)} steps unknown"
        done = sum(report.state is StepState.OK for report in expected)
        if not expected:
            return "No games on this date, so no step is expected"
        return f"{done} of {len(expected)} steps done" + (
            "" if done == len(expected) else ", the others are not yet due"
        )

    def get(self, name: str) -> StepReport | None:
        """The step of a name; None where there is none."""
        return next((report for report in self.steps if report.step.name == name), None)


def build_pipeline(
    phases: NightPhases, facts: NightFacts, judgement: NightJudgement, settings: Settings, now: datetime
) -> Pipeline:
    """The pipeline, with the predictions as the judgement of the night has them."""
    steps = (*judge_steps(phases, settings, now), _judge_predictions(facts, judgement, settings))
    return Pipeline(tuple(sorted(steps, key=lambda report: report.step.order)))


def _judge_predictions(facts: NightFacts, judgement: NightJudgement, settings: Settings) -> StepReport:
    players, night, batch = judgement.get(Subject.PLAYERS), facts.night.value, facts.newest_batch
    is_early = night is not None and night.was_run is False and not facts.is_overdue(settings)
    states = {
        Health.OK: StepState.OK,
        Health.NONE_EXPECTED: StepState.NONE_EXPECTED,
        Health.UNKNOWN: StepState.NOT_DUE if is_early else StepState.UNKNOWN,
    }
    trouble = StepState.SHORT if players.part else StepState.LATE
    return StepReport(
        PREDICTIONS,
        states.get(players.health, trouble),
        players.sentence,
        players.part,
        players.whole,
        done_at=batch.ended if batch is not None else None,
        since=players.since,
        judged=Health.NONE_EXPECTED if is_early and players.health is Health.UNKNOWN else players.health,
    )
