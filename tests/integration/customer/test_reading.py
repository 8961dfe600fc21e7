"""What the dashboard says of the customer's nights: runs by their own dates, losses with their cause, nothing alarming at peace."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from typing import Any

import pytest

from services.alerts.evaluation import evaluate_rules
from services.alerts.facts import ChannelStatus, read_snapshot
from services.batches.newest_record import read_newest_record
from services.batches.reader import read_batches
from services.batches.state import BatchState
from services.core.clock import ET
from services.core.result import Health, Problem, Result
from services.doctor.examination import run_checks
from services.judgement.facts import NightFacts, nights_before
from services.judgement.inputs import judge_inputs
from services.judgement.judge import judge_night
from services.judgement.lines import judge_lines
from services.judgement.statement import Subject
from services.nights.balance import balance
from services.nights.coverage import read_history
from services.nights.missing_players import LossReason, list_missing_players
from services.nights.night_writes import read_night_lines, read_night_writes
from services.nights.player_stages import read_night
from services.reports.event import BATCHES
from services.reports.events import night_events
from services.telemetry.log_reader import PRESETS
from tests.support.seeded_nights import make_facts

PERFECT, DIRECT, EVENING = date(2025, 12, 30), date(2025, 12, 29), date(2025, 12, 31)
INCOMPLETE = date(2025, 12, 28)


def to_et(at: datetime | None) -> str:
    assert at is not None
    return f"{at.astimezone(ET):%d %H:%M}"


def judge(clients, game_date):
    first, last = nights_before(game_date)
    facts = NightFacts(
        game_date,
        clients.now(),
        Result(read_night(clients, game_date)),
        Result(read_batches(clients, game_date)),
        Result(read_night_writes(clients, game_date)),
        Result(read_history(clients, first, last)),
        Result(read_newest_record(clients, game_date)),
    )
    return judge_night(facts, clients.settings)


def test_their_perfect_night_is_green_and_no_rule_of_it_fires(customer_clients):
    judgement = judge(customer_clients, PERFECT)
    assert judgement.health is Health.OK, judgement.headline
    last_batch = judgement.get(Subject.BATCH)
    assert last_batch.text == "batch_2025-12-30_1767077100: reported success, and 28 players are active"
    first = read_batches(customer_clients, PERFECT).batches[-1]
    assert (first.batch_id, first.requested, first.generated) == ("batch_2025-12-30_1767072990", 28, 28)
    snapshot = read_snapshot(customer_clients, [PERFECT], ChannelStatus(True))
    results = evaluate_rules(snapshot, customer_clients.settings, customer_clients.now())
    firing = [result.rule.name for result in results if result.game_date == PERFECT and result.firing]
    assert firing == []


@pytest.mark.parametrize(
    ("game_date", "inputs", "lines"),
    [(PERFECT, Health.OK, Health.OK), (DIRECT, Health.OK, Health.OK)],
)
def test_inputs_and_lines_of_their_whole_nights_are_proven(customer_clients, game_date, inputs, lines):
    days = read_history(customer_clients, date(2025, 12, 9), game_date).days
    facts = make_facts(read_night(customer_clients, game_date), days, customer_clients.now())
    found = judge_inputs(facts, customer_clients.settings), judge_lines(facts)
    assert tuple(statement.health for statement in found) == (inputs, lines), found


def test_their_direct_night_names_ninety_rejections_though_no_line_names_a_player(customer_clients):
    night = read_night(customer_clients, DIRECT)
    totals = balance(night)
    assert (totals.expected, totals.active, totals.unexplained) == (158, 68, 0)
    assert dict(totals.classified) == {LossReason.WRITE_REJECTED: 90}
    [evidence] = {
        m.evidence for m in list_missing_players(night) if m.reason is LossReason.WRITE_REJECTED and m.player.eligible
    }
    assert "DML queue full (2 running + 20 queued), 90 of 90 by the log, names unknown" in evidence
    writes = read_night_writes(customer_clients, DIRECT)
    assert (writes.attempted, writes.rejected, writes.rejected_in_logs) == (158, 90, 90)
    assert writes.alert_at is not None


def test_a_run_of_the_evening_before_belongs_to_its_own_date(customer_clients):
    batches = read_batches(customer_clients, EVENING)
    by_hand, evening = batches.batches
    assert batches.newest == evening
    assert to_et(evening.started) == "30 17:00"
    assert (evening.batch_id, evening.state) == ("batch_2025-12-31_1767132000", BatchState.CONSOLIDATION_FAILED)
    assert "Partitioning by expressions of type FLOAT64" in evening.status_text
    assert (by_hand.batch_id, by_hand.requested) == ("20251230_231502_481920", 1)
    assert by_hand.state is BatchState.CONSOLIDATION_FAILED, "a message without a run cannot stall"
    night = read_night(customer_clients, EVENING)
    totals = balance(night)
    assert dict(totals.classified) == {LossReason.WRITE_REJECTED: 3, LossReason.NOT_CONSOLIDATED: 37}
    writes = read_night_writes(customer_clients, EVENING)
    assert (writes.rejected, writes.rejected_in_logs) == (1, 4)
    lost = [p for p in night.players if p.generated_rows and not p.eligible]
    assert lost == [], "generated in a run of another date in the same evening"
    day_before = read_night_writes(customer_clients, PERFECT)
    assert (day_before.rejected, day_before.rejected_in_logs) == (0, 0)


def test_its_lines_and_its_mark_are_on_the_pages_of_its_date(customer_clients):
    batches = read_batches(customer_clients, EVENING)
    consolidation = next(preset for preset in PRESETS if preset.name == "Consolidation")
    lines = read_night_lines(customer_clients, EVENING, consolidation.condition).lines
    assert any("❌ Consolidation" in line.message and line.severity == "ERROR" for line in lines)
    unread: Result[Any] = Result(None, Problem("x", customer_clients.now(), "not read"))
    timeline = night_events(EVENING, customer_clients.now(), Result(batches), unread, unread, unread, unread)
    assert [mark.at for mark in timeline.in_lane(BATCHES)] == [batch.started for batch in reversed(batches.batches)]


def test_a_night_of_several_runs_without_all_their_rows_claims_nothing_that_no_source_says(customer_clients):
    batches = read_batches(customer_clients, INCOMPLETE).batches
    assert [(b.batch_id, b.state, b.requested, b.generated, to_et(b.started)) for b in batches] == [
        ("regen_2025-12-28_stale_lines_1767143400", BatchState.UNVERIFIED_SUCCESS, 40, 40, "30 20:10"),
        ("fallback_1767075605200", BatchState.CONSOLIDATION_FAILED, 1, 1, "30 01:20"),
        ("batch begun 01:45 ET", BatchState.STALLED, 102, 94, "28 01:45"),
    ]
    assert to_et(batches[-1].ended) == "28 01:49", "by its own lines and rows"
    night = read_night(customer_clients, INCOMPLETE)
    reasons = Counter(m.reason for m in list_missing_players(night) if m.player.eligible)
    assert reasons == {LossReason.NOT_GENERATED: 7, LossReason.NOT_CONSOLIDATED: 1}
    [staged] = [m for m in list_missing_players(night) if m.reason is LossReason.NOT_CONSOLIDATED]
    assert "_staging_fallback_" in staged.evidence, "the id has no date; the rows tell it"


@pytest.mark.parametrize(("game_date", "errors"), [(INCOMPLETE, 8), (PERFECT, 0)])
def test_the_errors_of_a_date_are_not_those_of_another_dates_run_in_its_hours(customer_clients, game_date, errors):
    condition = next(preset for preset in PRESETS if preset.name == "Service errors").condition
    lines = read_night_lines(customer_clients, game_date, condition).lines
    assert len({line.message for line in lines}) == errors, [line.message for line in lines]


def test_the_request_log_of_the_workers_is_no_line_without_a_message(customer_clients):
    logs = [check for check in run_checks(customer_clients).results if check.subject.startswith("log of")]
    assert [check.health for check in logs] == [Health.OK, Health.OK], [check.message for check in logs]


@pytest.mark.parametrize("day", range(25, 32))
def test_every_sum_of_their_nights_holds_and_nobody_is_unexplained(customer_clients, day):
    night = read_night(customer_clients, date(2025, 12, day))
    assert night.problems == ()
    totals = balance(night)
    assert totals.is_balanced
    assert totals.unexplained == 0


def test_where_their_datasets_are_is_found_out(customer_clients):
    assert customer_clients.bigquery.location == "us-west2"
