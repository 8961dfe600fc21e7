"""`make bench-peers`: ratios are ours by the peer's medians, and a peer that cannot be had is skipped with its reason, never won."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import date, timedelta

import pytest

from tests.tools.benchmarks.page_timer import PageTiming
from tests.tools.benchmarks.pages import PageMeasurements
from tests.tools.benchmarks.peers import __main__ as bench_peers
from tests.tools.benchmarks.peers import environment, servers
from tests.tools.benchmarks.peers.catalog import PEERS
from tests.tools.benchmarks.peers.comparison import format_ratios, format_times


def measured(cold, second, click) -> PageMeasurements:
    """A page whose full times are these, in ms; its answer stands at half of them."""
    times_ms = {"cold": cold, "second": second, "click": click}
    return PageMeasurements(
        {visit: [PageTiming(ms / 2, ms, wire=2_000_000) for ms in runs] for visit, runs in times_ms.items()}
    )


MEASUREMENTS = {
    "Dagster": measured((1_000, 9_000, 1_100), (400,), (200,)),
    "Prefect": measured((2_000,), (800,), (100,)),
    "overview": measured((550,), (600, 60_000, 500), (200,)),
    "runs": measured((1_100,), (300,), (50,)),
}


def test_a_ratio_is_our_median_by_the_peers_and_equal_is_not_ahead():
    lines = format_ratios(MEASUREMENTS, ["Dagster", "Prefect"], {}).splitlines()
    assert [line.split() for line in lines[-3:]] == [
        ["overview", "0.50", "1.50", "1.00", "0.28", "0.75", "2.00"],
        ["runs", "1.00", "0.75", "0.25", "0.55", "0.38", "0.50"],
        ["ahead", "on", "1/2", "1/2", "1/2", "2/2", "2/2", "1/2"],
    ]


def test_times_are_medians_of_the_answer_and_of_the_full_page():
    overview = next(line for line in format_times(MEASUREMENTS).splitlines() if line.startswith("overview"))
    assert overview.split() == ["overview", "275", "550", "300", "600", "100", "200", "2.00"]


def test_a_skipped_peer_is_printed_with_its_reason_and_counted_nowhere():
    measurements = {name: MEASUREMENTS[name] for name in ("Prefect", "overview", "runs")}
    text = format_ratios(measurements, ["Prefect"], {"Dagster": "not installed: no such version"})
    assert "Dagster was skipped and is counted nowhere: not installed: no such version" in text
    assert text.count("Dagster") == 1
    assert ["ahead", "on", "2/2", "2/2", "1/2"] in [line.split() for line in text.splitlines()]


def test_no_peer_at_all_leaves_no_place_to_be_ahead_in():
    ours = {name: MEASUREMENTS[name] for name in ("overview", "runs")}
    text = format_ratios(ours, [], {peer.name: "no network" for peer in PEERS})
    assert text.count("counted nowhere: no network") == len(PEERS)
    assert "/2" not in text


def test_a_peer_that_cannot_be_installed_is_skipped_with_the_installers_last_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PEERS_DIR", str(tmp_path))
    monkeypatch.setattr(environment.sys, "executable", "/bin/false")
    with ExitStack() as stack:
        candidates, skipped = bench_peers.start_peers(stack, None, set())
    assert candidates == []
    assert list(skipped) == [peer.name for peer in PEERS]
    assert all(reason.startswith("no virtual environment: ") for reason in skipped.values())


def test_a_peer_whose_page_never_shows_its_nights_is_skipped_and_the_others_are_measured(monkeypatch):
    def measure(browser, candidate, measurements):
        if candidate.name == "Prefect":
            raise RuntimeError("http://127.0.0.1:1/runs never stood still: []")

    monkeypatch.setattr(bench_peers, "start_peer", lambda *_: "http://127.0.0.1:1")
    monkeypatch.setattr(bench_peers, "measure", measure)
    with ExitStack() as stack:
        candidates, skipped = bench_peers.start_peers(stack, None, {"Dagster", "Prefect"})
    assert [candidate.name for candidate in candidates] == ["Dagster"]
    assert skipped == {
        "Prefect": "not measured: http://127.0.0.1:1/runs never stood still: []",
        "Airflow": "PEERS does not name it",
    }


def test_an_interrupted_installation_is_not_taken_for_one(tmp_path, monkeypatch):
    monkeypatch.setenv("PEERS_DIR", str(tmp_path))
    commands = []
    monkeypatch.setattr(environment, "run", lambda command, _: commands.append(command))
    python = environment.install(PEERS[0])
    (python.parents[1] / "installed").unlink()
    environment.install(PEERS[0])
    installed = len(commands)
    environment.install(PEERS[0])
    assert (installed, len(commands)) == (4, 4)


def test_nights_are_executed_once_a_day_and_again_after_an_interruption(tmp_path, monkeypatch):
    filled = []
    monkeypatch.setattr(servers, "run", lambda *given: filled.append(given[-1]))
    python = tmp_path / "bin" / "python"
    today = date(2026, 11, 26)
    home = servers.fill(PEERS[0], python, today)
    assert servers.fill(PEERS[0], python, today) == home
    assert [json.loads(given)[-1] for given in filled] == [["2025-12-29", False]]
    (home / "filled").unlink()
    servers.fill(PEERS[0], python, today)
    servers.fill(PEERS[0], python, today + timedelta(days=1))
    assert len(filled) == 3


def test_a_failing_program_is_named_by_its_last_line():
    with pytest.raises(environment.PeerUnavailable, match=r"^not filled: out of nights$"):
        environment.run(["/bin/sh", "-c", "echo first >&2; echo out of nights >&2; exit 3"], "not filled")


def test_170_nights_of_which_10_fail():
    nights = servers.list_nights()
    assert (nights[0][0], nights[-1][0]) == ("2025-07-13", "2025-12-29")
    assert (len(nights), sum(fails for _, fails in nights)) == (170, 10)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_the_pins_of_a_peer_contain_its_requirement(peer):
    assert peer.requirement in peer.lock.read_text().splitlines()
    assert peer.nights.exists()
