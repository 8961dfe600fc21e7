"""Every limit that `make bench` prints fails for counts that break it; what is counted is counted as the limits count it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import Forbidden

from services.pipeline.coordinator.dispatcher import MAX_UNIT_PLAYERS
from services.sandbox.bigquery.limits import Limits
from services.sandbox.common.ports import free_port
from services.sandbox.seed import Seed
from tests.support.memory_clients import SimulatedClock
from tests.support.paths import ROOT
from tests.tools.benchmarks import write_scale
from tests.tools.benchmarks.acceptance import Line, Measurements, find_broken, judge
from tests.tools.benchmarks.sandbox_memory import StagedNight, describe_ratios
from tests.tools.benchmarks.simulated_cloud import Cloud
from tests.tools.benchmarks.write_calls import CONTEXT_TABLE, NIGHT, format_calls, multiply_players
from tests.tools.benchmarks.write_cost import BytesBilled
from tests.tools.benchmarks.write_run import WriteRun, quota_peaks


def make_run(players: int, at_once: int, calls: int, **changes: Any) -> WriteRun:
    """A run that keeps every limit."""
    rows, peaks = players * 25, {"a": 50.0, "b": 2.0}
    run = WriteRun(players, 20, at_once, {"x.get": calls}, peaks, 1, 10.0, rows, rows, 300.0)
    return replace(run, **changes)


KEPT = Measurements(
    runs=(
        make_run(158, 12, 120),
        make_run(158, 100, 250),
        make_run(1_580, 12, 120 + 497),
        make_run(1_580, 100, 250 + 497, seconds=50.0),
        make_run(15_800, 100, 4_000, peaks={"a": 100.0}),
        make_run(158_000, 100, 4_000 + 49_770, peaks={"a": 100.0}),
    ),
    old=(make_run(158, 12, 900, unit_players=1, seconds=30.0), make_run(158, 100, 900, unit_players=1, seconds=30.0)),
    bytes_billed=BytesBilled(union_merge=1_500, our_merge=30, our_total=60),
)


def test_every_limit_is_met_by_counts_that_just_keep_it():
    lines = judge(KEPT)
    assert [str(line) for line in lines if not line.met] == []
    assert (len(lines), sum(not line.counted for line in lines)) == (36, 4)


def with_run(number: int, **changes: Any) -> Measurements:
    runs = list(KEPT.runs)
    runs[number] = replace(runs[number], **changes)
    return replace(KEPT, runs=runs)


WORSE = {
    "a second mutating statement": (with_run(3, mutating_dml=2), "mutating DML"),
    "none at 158,000": (with_run(5, mutating_dml=0), "mutating DML"),
    "a row that is not active": (with_run(4, active_rows=394_999), "rows active"),
    "rows doubled": (with_run(0, active_rows=3_951), "rows active"),
    "a refused call": (with_run(2, refused=1), "refused by a limit"),
    "half a quota at 1×": (with_run(0, peaks={"a": 50.1}), "quotas"),
    "half a quota at 10×": (with_run(3, peaks={"a": 1.0, "b": 50.1}), "quotas"),
    "a quota at 1,000×": (with_run(5, peaks={"a": 100.1}), "quotas"),
    "memory": (with_run(4, memory_mb=400.1), "memory"),
    "memory that was not measured": (with_run(4, memory_mb=0.0), "memory"),
    "calls at 12": (with_run(0, calls={"x.get": 100, "y.get": 21}), "12 at once: calls"),
    "calls at 100": (with_run(1, calls={"x.get": 251}), "100 at once: calls"),
    "calls a player": (with_run(2, calls={"x.get": 120 + 498}), "1,580 players, 12 at once: calls a player"),
    "calls a player at 158,000": (with_run(5, calls={"x.get": 4_000 + 50_000}), "calls a player"),
    "bytes": (replace(KEPT, bytes_billed=BytesBilled(1_499, 30, 59)), "the union's MERGE beside ours"),
    "bytes of the proof": (replace(KEPT, bytes_billed=BytesBilled(1_500, 30, 61)), "the count"),
}


@pytest.mark.parametrize(("measured", "subject"), WORSE.values(), ids=WORSE)
def test_one_worse_count_breaks_one_limit(measured, subject):
    (broken,) = find_broken(judge(measured))
    assert subject in broken.subject
    assert str(broken).endswith("NOT met")


@pytest.mark.parametrize(("number", "seconds", "subject"), [(0, 10.1, "beside units of 1"), (3, 50.1, "beside 158")])
def test_a_time_beyond_its_limit_is_said_and_breaks_nothing(number, seconds, subject):
    lines = judge(with_run(number, seconds=seconds))
    (late,) = [line for line in lines if not line.met]
    assert subject in late.subject
    assert str(late).endswith("NOT met (a time)")
    assert find_broken(lines) == []


def test_a_limit_is_printed_with_what_was_measured():
    line = str(Line("158 players: calls", "≤ 120", "118", met=True))
    assert line.split() == ["158", "players:", "calls", "≤", "120", "118", "met"]


def test_the_peak_of_a_quota_is_that_of_its_busiest_window_and_table():
    limits = Limits()
    for at in (0.0, 0.5, 0.9, 5.0):
        limits.check_api_call("TableService.getTable", at)
    for table, times in (("a", 2), ("b", 3)):
        for _ in range(times):
            limits.check_write_job("load", table, False, 0.0)
    limits.dml_queues["predictions"].submit("merge")
    peaks = quota_peaks(limits)
    assert peaks["TableService.getTable 100/s"] == 3.0
    assert peaks["updates of a table 5/10 s"] == 60.0
    assert peaks["DML outstanding 22"] == pytest.approx(100 / 22)
    assert peaks["load jobs 100,000/day"] == pytest.approx(0.005)


def test_a_call_beyond_its_rate_is_refused_and_counted():
    connection: Any = None
    cloud = Cloud(SimulatedClock(), connection)
    for _ in range(100):
        cloud.count_call("TableService.getTable", 0.001)
    with pytest.raises(Forbidden, match="too many api requests"):
        cloud.count_call("TableService.getTable", 0.001)
    assert (cloud.calls["TableService.getTable"], cloud.refused) == (101, {"api_rate": 1})


def test_the_simulated_run_is_the_production_path():
    run = write_scale.run(players=3, rows_a_player=2)
    assert (run.mutating_dml, run.active_rows, run.expected_rows, run.refused) == (1, 6, 6, 0)
    assert run.calls["JobService.insertJob"] > 3
    assert 0 < run.highest_peak[1] <= 50


def test_a_night_of_ten_times_the_players_repeats_each_under_other_names():
    seed = Seed({CONTEXT_TABLE: [{"game_date": str(NIGHT), "player_lookup": "a"}, {"game_date": "2025-12-28"}]})
    rows = multiply_players(seed, 3).tables[CONTEXT_TABLE]
    assert [row.get("player_lookup") for row in rows] == ["a", None, "a1", "a2"]


def test_calls_are_printed_by_method():
    lines = format_calls([make_run(158, 12, 9), make_run(158, 100, 7, unit_players=MAX_UNIT_PLAYERS)]).splitlines()
    assert lines[0].split() == ["calls", "seconds", "rows", "get"]
    assert lines[1].split()[-4:] == ["9", "10.0", "3,950", "9"]


def test_the_sandbox_is_printed_in_ratios():
    night = StagedNight(10, 1.0, (), staging_cpu_s=0.02, staging_mb=0.4, dropped_mb=0.1, copy_cpu_s=0.001)
    assert describe_ratios(night) == (
        "a dropped table keeps 0.25 of its memory; a copy takes 0.050 of the CPU of staging"
    )


BENCHMARK_WITH_A_SERVER = """
import sys, time
from pathlib import Path
from tests.tools.benchmarks.harness import start_process
port, folder = sys.argv[1:]
with start_process("server", ["http.server", port], {}, f"http://127.0.0.1:{port}", Path(folder)) as server:
    print(server.process.pid, flush=True)
    time.sleep(120)
"""


def test_a_terminated_benchmark_ends_its_servers(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BENCHMARK_WITH_A_SERVER, str(free_port()), str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as benchmark:
        assert benchmark.stdout is not None
        server_pid = int(benchmark.stdout.readline())
        benchmark.terminate()
    with pytest.raises(ProcessLookupError):
        os.kill(server_pid, 0)
