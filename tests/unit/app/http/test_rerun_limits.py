"""How many reruns pass: of one person, of all persons, and who waits for whom."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from app.http.rerun_limits import RERUNS_AT_ONCE, RERUNS_PER_S, TOTAL_RERUNS_AT_ONCE, TOTAL_RERUNS_PER_S, RerunLimits
from tests.support.iap_signer import NORA, VIC


class Stage:
    """Persons who take turns on a clock that moves only when everybody waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at, self._sleepers = 0.0, list[tuple[float, asyncio.Event]]()
        monkeypatch.setattr(asyncio, "sleep", self._sleep)
        self.limits = RerunLimits(lambda: self.at)
        self.taken: list[tuple[float, str]] = []

    async def _sleep(self, seconds: float) -> None:
        event = asyncio.Event()
        self._sleepers.append((self.at + seconds, event))
        await event.wait()

    async def flood(self, person: str, turns: int) -> None:
        for _ in range(turns):
            await self.limits.take_turn(person)
            self.taken.append((self.at, person))

    async def run_until(self, end: float, *floods: Any) -> None:
        tasks = [asyncio.ensure_future(flood) for flood in floods]
        while True:
            for _ in range(300):
                await _yield_to_others()
            due = min(self._sleepers, key=lambda sleeper: sleeper[0], default=None)
            if due is None or due[0] > end:
                break
            self._sleepers.remove(due)
            self.at = due[0]
            due[1].set()
        self.at = end
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sleepers.clear()

    def counts(self) -> Counter[str]:
        return Counter(person for _, person in self.taken)


class _Yield:
    def __await__(self) -> Any:
        yield


async def _yield_to_others() -> None:
    await _Yield()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


def test_ten_sockets_of_one_person_have_the_turns_of_one_person(stage):
    asyncio.run(stage.run_until(10, *[stage.flood(VIC, 500) for _ in range(10)]))
    assert stage.counts()[VIC] == RERUNS_AT_ONCE + 10 * RERUNS_PER_S


def test_a_person_alone_does_not_wait_while_another_floods(stage):
    asyncio.run(stage.run_until(3, *[stage.flood(VIC, 500) for _ in range(10)], stage.flood(NORA, 3)))
    assert [at for at, person in stage.taken if person == NORA] == [0, 0, 0]


def test_many_persons_together_have_the_turns_of_all_and_one_more_waits_for_one_turn_of_each(stage):
    crowd = [f"v{number}@example.com" for number in range(30)]

    async def scene() -> None:
        floods = [stage.flood(person, 500) for person in crowd for _ in range(3)]
        await stage.run_until(10, *floods, stage.flood(NORA, 1))

    asyncio.run(scene())
    assert len(stage.taken) == pytest.approx(TOTAL_RERUNS_AT_ONCE + 10 * TOTAL_RERUNS_PER_S, abs=1)
    (nora_at,) = [at for at, person in stage.taken if person == NORA]
    assert nora_at <= len(crowd) / TOTAL_RERUNS_PER_S


def test_closing_and_opening_again_gives_no_new_turns_and_who_is_gone_is_forgotten(stage):
    async def scene() -> None:
        await stage.run_until(0, stage.flood(VIC, 500))
        await stage.run_until(0, stage.flood(NORA, 1))
        assert stage.counts()[VIC] == RERUNS_AT_ONCE
        await stage.run_until(0, stage.flood(VIC, 500))
        assert stage.counts()[VIC] == RERUNS_AT_ONCE
        stage.at = 60
        await stage.limits.take_turn("new@example.com")
        assert list(stage.limits._turns) == ["new@example.com"]

    asyncio.run(scene())
