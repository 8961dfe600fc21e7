"""What a night is judged on: a complete night of our own coordinator, read completely just now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from services.batches.ledger import OUTCOMES
from services.batches.reader import Batch, Batches
from services.core.result import Problem, Result
from services.core.settings import Settings
from services.judgement.facts import NightFacts
from services.judgement.judge import NightJudgement, judge_night
from services.nights.coverage import CoverageHistory
from tests.support.alert_factories import make_batch, make_batch_record, make_players, make_write_report
from tests.support.factories import NIGHT, NOW, make_attempt, make_night

SETTINGS = Settings.from_env({})
UNREAD: Result[Any] = Result(None, Problem("x", NOW, "x did not answer."))
OUTDATED = Problem("x", NOW, "x does not answer; data of 01:45:10, 98 s old")
PLAYERS = 158


def make_counts(**counts: int) -> dict[str, dict[str, int]]:
    """The details of a batch record: players by outcome, all staged unless `counts` say otherwise."""
    return {"outcomes": dict.fromkeys(OUTCOMES, 0) | ({"staged": PLAYERS} | counts)}


def make_batches(*batches: Batch, **changes: Any) -> Result[Batches]:
    return Result(Batches(batches or (make_batch(started=NOW - timedelta(hours=1)),), (), **changes))


def make_facts(**changes: Any) -> NightFacts:
    """The facts of a night on which every statement is proven."""
    fields: dict[str, Any] = {
        "game_date": NIGHT,
        "now": NOW,
        "night": Result(make_night(*make_players(PLAYERS))),
        "batches": make_batches(),
        "writes": Result(make_write_report(make_attempt())),
        "usual": Result(CoverageHistory((), ())),
        "record": Result(make_batch_record(requested=PLAYERS, details=make_counts())),
    }
    return NightFacts(**{**fields, **changes})


def judge(**changes: Any) -> NightJudgement:
    """The judgement of a night that differs from a proven one by `changes`."""
    return judge_night(make_facts(**changes), SETTINGS)
