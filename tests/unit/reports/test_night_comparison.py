"""Two dates side by side: what differs is named with both values, worst first; the same share is equal; unknown never is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.batches.state import BatchState
from services.core.result import DataSource, Health, Problem, Result
from services.judgement.facts import NightFacts
from services.judgement.judge import judge_night
from services.judgement.statement import Subject
from services.nights.rows import LINE_OF_ROW
from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.reports.night_comparison import (
    ComparedFigure,
    NightComparison,
    Value,
    compare_nights,
    describe_night,
    find_night_before,
)
from services.scaling.deploys import Deploy, DeployHistory
from tests.support.alert_factories import (
    STARTED,
    make_batch,
    make_players,
    make_rejected_players,
    make_rejection_burst,
    make_write_report,
)
from tests.support.factories import NIGHT, NOW, make_attempt, make_history, make_night, player_without_rows
from tests.support.night_facts import SETTINGS, UNREAD, make_batches, make_facts

WORKER, BEFORE = "prediction-worker", date(2025, 12, 28)
DEPLOYS = DeployHistory(
    (
        Deploy(WORKER, "r3", datetime(2025, 12, 30, 1, 25, tzinfo=UTC), "nora", 50, 1, problem="never ready"),
        Deploy(WORKER, "r2", datetime(2025, 12, 30, 1, 20, tzinfo=UTC), "nora", 4, 3),
        Deploy("prediction-coordinator", "c1", datetime(2025, 12, 20, tzinfo=UTC), "nora", 1, 8),
        Deploy(WORKER, "r1", datetime(2025, 12, 18, tzinfo=UTC), "nora", 20, 5),
    ),
    DataSource("Cloud Run", NOW),
)


def attempts(count: int, at: datetime) -> list[Any]:
    """As many accepted statements in a row, each a second long."""
    starts = (at + timedelta(seconds=2 * n) for n in range(count))
    return [make_attempt(job_id=f"ok{n}", at=s, ended=s + timedelta(seconds=1)) for n, s in enumerate(starts)]


def bad_night(**changes: Any) -> NightFacts:
    """29 December: 158 direct writes, 90 of them rejected."""
    batch = make_batch(state=BatchState.UNVERIFIED_SUCCESS, health=Health.UNKNOWN, record_source="logs")
    night = make_night(*make_players(68), *make_rejected_players(90), wrote_directly=True)
    writes = make_write_report(*attempts(68, STARTED), *make_rejection_burst(90))
    fields = {"night": Result(night), "writes": Result(writes), "batches": make_batches(batch), "record": Result(None)}
    return make_facts(**{**fields, **changes})


def night_before(**changes: Any) -> NightFacts:
    """28 December: 94 direct writes, and 8 players without features."""
    lost = [
        player_without_rows(player_lookup=f"n{n}", generated_rows=0, generation_error="no_features") for n in range(8)
    ]
    night = make_night(*make_players(94), *lost, wrote_directly=True, game_date=BEFORE, games=7)
    writes = make_write_report(*attempts(94, STARTED - timedelta(days=1)))
    batch = make_batch(
        batch_id="batch_2025-12-28_1766939400",
        game_date=BEFORE,
        started=STARTED - timedelta(days=1),
        state=BatchState.UNVERIFIED_SUCCESS,
    )
    fields = {"night": Result(night), "writes": Result(writes), "batches": make_batches(batch), "record": Result(None)}
    return make_facts(**{**fields, "game_date": BEFORE, **changes})


def compare(night: NightFacts, other: NightFacts, deploys: DeployHistory | None = DEPLOYS) -> NightComparison:
    sides = (describe_night(facts, judge_night(facts, SETTINGS), deploys, WORKER) for facts in (night, other))
    return compare_nights(*sides)


def rows(comparison: NightComparison) -> dict[str, ComparedFigure]:
    return {figure.label: figure for figure in comparison.differing}


def test_the_incident_beside_the_night_before_names_direct_writes_capacity_and_rejections():
    comparison = compare(bad_night(), night_before())
    differing = rows(comparison)
    shown = {label: (f.value.text, f.other.text, f.difference) for label, f in differing.items()}
    assert shown["Rejected writes"] == ("90 of 158 (57.0%)", "0 of 94", "+90")
    assert shown["Writes"] == ("158 direct writes", "94 direct writes", "+64")
    assert shown["Worker capacity"] == ("20 × 5, 4 × 3 from 20:20 ET", "20 × 5", "")
    assert shown["Coverage"] == ("43.0%, 68 of 158", "92.2%, 94 of 102", "−49.1 pt")
    assert shown["Eligible"] == ("158, 14.4 a game", "102, 14.6 a game", "−0.2 a game")
    assert shown["Missing: write rejected"] == ("90", "0", "+90")
    assert shown["Missing: not generated"] == ("0", "8", "−8")
    assert shown["Generated"] == ("158, 100.0%", "94, 92.2%", "+7.8 pt")
    assert {figure.label for figure in comparison.equal} >= {
        "Requested",
        "Staged",
        "Systems",
        "Duplicate keys",
        "Batches",
    }
    assert comparison.headline.startswith(f"29 Dec against 28 Dec: {len(differing)} of ")


def test_the_worst_difference_is_first_and_the_larger_of_two_alike():
    comparison = compare(bad_night(), night_before())
    severities = [figure.health for figure in comparison.differing]
    assert severities[0] is Health.CRITICAL
    assert severities == sorted(
        severities, key=[Health.CRITICAL, Health.UNKNOWN, Health.WARNING, Health.OK, Health.NONE_EXPECTED].index
    )
    critical = [figure.weight for figure in comparison.differing if figure.health is Health.CRITICAL]
    assert critical == sorted(critical, reverse=True)


def test_a_night_beside_itself_differs_in_nothing():
    comparison = compare(bad_night(), replace(bad_night(), game_date=BEFORE))
    assert [figure.label for figure in comparison.differing if figure.label != "Worker capacity"] == []


def test_what_was_not_read_of_one_date_is_unknown_and_never_equal():
    unread = night_before(night=UNREAD, writes=UNREAD, batches=UNREAD)
    comparison = compare(bad_night(), unread, deploys=None)
    unknown = {label for label, figure in rows(comparison).items() if not figure.is_known}
    assert unknown == set(rows(comparison)), "every figure needs the players, the writes, the batches or the deploys"
    assert comparison.equal == ()
    assert comparison.headline.endswith(f"0 of {len(unknown)} figures differ, {len(unknown)} unknown")
    nothing = compare(replace(unread, game_date=NIGHT), unread, deploys=None)
    assert nothing.equal == (), "unknown is not equal to unknown"


def test_the_capacity_before_the_first_deploy_that_is_known_is_unknown():
    later = replace(DEPLOYS, deploys=DEPLOYS.deploys[:2])
    assert rows(compare(bad_night(), night_before(), later))["Worker capacity"].value.text == "unknown"


def test_rows_from_staging_are_told_from_direct_writes():
    staged = make_facts(night=Result(make_night(*make_players(158, staged_rows=25))))
    partly = make_facts(
        night=Result(make_night(*make_players(68), *make_players(90, staged_rows=25), wrote_directly=True)),
    )
    writes = {name: rows(compare(f, bad_night()))["Writes"].value for name, f in (("all", staged), ("part", partly))}
    assert (writes["all"].text, writes["all"].health) == ("1 write, from staging", Health.OK)
    assert (writes["part"].text, writes["part"].health) == ("1 write, partly direct", Health.WARNING)


def test_a_system_that_one_date_lacks_is_named():
    systems = (Value("1", amount=1, names=frozenset({"v1", "v2"})), Value("1", amount=1, names=frozenset({"v1", "v3"})))
    assert ComparedFigure("Systems", "coverage", *systems).difference == "without v3; also v2"
    assert not ComparedFigure("Systems", "coverage", *systems).is_equal


def figure(value: Value, other: Value) -> ComparedFigure:
    return ComparedFigure("Rows", "coverage", value, other)


def test_a_difference_is_of_two_amounts_and_a_text_has_none():
    assert figure(Value("3", amount=3), Value("1", amount=1)).difference == "+2"
    assert figure(Value("1.0%", amount=1, unit="pt"), Value("none")).difference == ""
    assert figure(Value("none"), Value("1.0%", amount=1, unit="pt")).difference == ""
    assert figure(Value("2, 1.01", amount=1.01, unit="pt"), Value("3, 1.02", amount=1.02, unit="pt")).difference == ""
    for value, other in (
        (Value("3", amount=3, unit="pt"), Value("1", amount=1)),
        (Value("3", amount=3), Value("1", amount=1, unit="pt")),
    ):
        assert figure(value, other).difference == "+2.0 pt"


def test_systems_that_only_one_date_has_are_named_and_unread_ones_are_not_compared():
    both, one = Value("2", amount=2, names=frozenset({"v1", "v2"})), Value("1", amount=1, names=frozenset({"v1"}))
    assert figure(both, one).difference == "also v2"
    assert figure(one, both).difference == "without v2"
    for value, other in ((both, replace(one, names=None)), (replace(both, names=None), one)):
        assert figure(value, other).difference == "+1"
    assert figure(both, both).difference == ""


def test_the_weight_of_a_text_is_whole_and_of_two_zeros_none():
    assert figure(Value("none"), Value("1", amount=1)).weight == 1.0
    assert figure(Value("1", amount=1), Value("none")).weight == 1.0
    assert figure(Value("none"), Value("none")).weight == 0.0
    assert figure(Value("0", amount=0), Value("0", amount=0)).weight == 0.0
    assert figure(Value("1", amount=1), Value("4", amount=4)).weight == 0.75


def test_a_date_without_games_or_not_run_yet_has_no_share():
    free = make_facts(game_date=BEFORE, night=Result(make_night(games=0, was_run=False, game_date=BEFORE)))
    early = make_facts(
        night=Result(make_night(*[player_without_rows(requested=False, generated_rows=0)], was_run=False)),
        now=STARTED - timedelta(hours=4),
    )
    differing = rows(compare(early, free))
    assert (differing["Coverage"].value.text, differing["Coverage"].other.text) == ("not run yet", "no games")
    assert differing["Coverage"].difference == ""


def test_the_date_to_compare_with_is_the_last_that_had_games():
    before, free = make_history({"v1": (9, 9)}, {}).days
    assert find_night_before((before, replace(free, games=0)), NIGHT) == date(2025, 12, 27)
    assert find_night_before((), NIGHT) is None
    later = replace(before, game_date=NIGHT + timedelta(days=1))
    assert find_night_before((before, replace(before, game_date=NIGHT), later), NIGHT) == date(2025, 12, 27)


def values_of(facts: NightFacts, deploys: DeployHistory | None = DEPLOYS) -> dict[str, Value]:
    """The value of each figure of a night."""
    comparison = compare(facts, bad_night(), deploys)
    return {figure.label: figure.value for figure in (*comparison.differing, *comparison.equal)}


def test_only_the_reasons_that_one_of_the_dates_has_are_figures_and_nobody_lost_is_ok():
    values = values_of(night_before())
    assert {label for label in values if label.startswith("Missing")} == {
        "Missing: write rejected",
        "Missing: not generated",
    }
    assert (values["Missing: write rejected"].text, values["Missing: write rejected"].health) == ("0", Health.OK)
    assert values["Missing: not generated"].health not in (Health.OK, Health.NONE_EXPECTED)
    unexplained = make_facts(night=Result(make_night(*make_players(3), player_without_rows(player_lookup="lost"))))
    assert values_of(unexplained)["Missing: unexplained"].text == "1"


def test_without_an_unknown_figure_the_headline_counts_none():
    assert compare(bad_night(), night_before()).headline.endswith(" figures differ")


def test_coverage_of_nobody_eligible_and_of_rows_before_the_run_is_what_it_is():
    ineligible = make_night(*make_players(3, eligible=False, active_rows=0, written_rows=0))
    assert values_of(make_facts(night=Result(ineligible)))["Coverage"].text == "none eligible"
    early = make_facts(night=Result(make_night(*make_players(3), was_run=False)))
    assert values_of(early)["Coverage"].text == "100.0%, 3 of 3"
    none_active = make_facts(night=Result(make_night(*make_rejected_players(3))))
    assert values_of(none_active)["Coverage"].text == "0.0%, 0 of 3"


def test_numbers_of_a_date_without_games_or_rows_divide_by_nothing():
    values = values_of(make_facts(night=Result(make_night(games=0, was_run=False))))
    assert [values[label].text for label in ("Eligible", "Generated", "Active rows", "Systems")] == ["0", "0", "0", "0"]


def test_duplicate_keys_are_counted_critical_or_not_recorded():
    night = make_night(*make_players(3))
    doubled = replace(night, systems=(replace(night.systems[0], doubled=4), *night.systems[1:]))
    value = values_of(make_facts(night=Result(doubled)))["Duplicate keys"]
    assert (value.text, value.health) == ("4", Health.CRITICAL)
    calm = values_of(make_facts(night=Result(night)))["Duplicate keys"]
    assert (calm.text, calm.health) == ("0", Health.OK)
    unrecorded = make_night(*make_players(3), absent_columns=frozenset((LINE_OF_ROW,)))
    assert values_of(make_facts(night=Result(unrecorded)))["Duplicate keys"].text == "not recorded"


def test_a_system_without_a_row_is_not_counted():
    night = make_night(*make_players(3))
    absent = replace(night.systems[0], system_id="absent", keys=0)
    values = values_of(make_facts(night=Result(replace(night, systems=(*night.systems, absent)))))
    assert values["Systems"].names == frozenset(system.system_id for system in night.systems)


def test_a_full_queue_and_a_capacity_above_it_are_marked_and_what_is_within_is_ok():
    values = values_of(bad_night())
    assert (values["Worker capacity"].health, values["Peak concurrent DML"].health) == (Health.WARNING, Health.OK)
    small = replace(DEPLOYS, deploys=(replace(DEPLOYS.deploys[-1], max_instances=4, concurrency=5),))
    assert values_of(bad_night(), small)["Worker capacity"].health is Health.OK
    report = replace(make_write_report(), peak_outstanding=MAX_OUTSTANDING_DML, rejected=1, attempted=2)
    full = values_of(bad_night(writes=Result(report)))
    assert (
        full["Peak concurrent DML"].health
        is judge_night(bad_night(writes=Result(report)), SETTINGS).get(Subject.WRITES).health
    )


def test_writes_that_were_read_in_part_and_batches_with_a_problem_are_unknown():
    partly = replace(make_write_report(), attempted=None, rejected=None, peak_outstanding=None)
    values = values_of(bad_night(writes=Result(partly)))
    assert {values[label].text for label in ("Writes", "Rejected writes", "Peak concurrent DML")} == {"unknown"}
    batches = make_batches()
    assert batches.value is not None
    unsure = Result(replace(batches.value, problems=(Problem("the batch log", NOW, "no answer"),)))
    assert values_of(bad_night(batches=unsure))["Batches"].text == "unknown"
    none = values_of(bad_night(batches=Result(replace(batches.value, batches=()))))
    assert none["Batches"].text == "0"


def test_a_deploy_that_changed_no_capacity_or_came_on_another_night_is_no_change():
    first = DEPLOYS.deploys[-1]
    same = replace(first, at=datetime(2025, 12, 30, 1, 20, tzinfo=UTC))
    next_night = replace(first, at=datetime(2025, 12, 30, 20, 0, tzinfo=UTC), max_instances=4)
    values = values_of(bad_night(), replace(DEPLOYS, deploys=(next_night, same, first)))
    assert values["Worker capacity"].text == "20 × 5"
