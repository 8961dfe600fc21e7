"""What was counted of one run of the write path, on the sandbox over HTTP or on the limit rules, as JSON too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

from services.sandbox.bigquery.limits import MAX_QUEUED_DML, MAX_RUNNING_DML, Limits, RateWindow


@dataclass(frozen=True)
class WriteRun:
    """One run from request to proof. `calls` by method; `peaks` of each quota in percent.

    `memory_mb` is the most that the coordinator's process held, 0: not measured; `refused` what a limit or an error refused.
    """

    players: int
    unit_players: int
    at_once: int
    calls: Mapping[str, int]
    peaks: Mapping[str, float]
    mutating_dml: int
    seconds: float
    expected_rows: int
    active_rows: int
    memory_mb: float = 0.0
    refused: int = 0

    @property
    def name(self) -> str:
        """For a table."""
        return f"{self.players:,} players, units of {self.unit_players}, {self.at_once} at once"

    @property
    def total_calls(self) -> int:
        return sum(self.calls.values())

    @property
    def highest_peak(self) -> tuple[str, float]:
        """The quota that was used most, and its percentage."""
        return max(self.peaks.items(), key=lambda item: item[1], default=("none", 0.0))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def quota_peaks(limits: Limits) -> dict[str, float]:
    """The highest use of every counted quota in its sliding window, in percent; of quotas per table, the table's that used most."""
    peaks = {f"{method} {window.limit:,}/s": _percent(window) for method, window in sorted(limits.api_calls.items())}
    per_table = {
        "DML statements of a table 25/10 s": limits.dml_rate,
        "updates of a table 5/10 s": limits.metadata_updates,
        "updates of a partitioned table 50/10 s": limits.partitioned_metadata_updates,
        "writes of a table 1,500/day": limits.table_writes,
    }
    for name, windows in per_table.items():
        peaks[name] = max(map(_percent, windows.values()), default=0.0)
    peaks["load jobs 100,000/day"], peaks["copy jobs 100,000/day"] = _percent(limits.loads), _percent(limits.copies)
    outstanding = max((queue.peak for queue in limits.dml_queues.values()), default=0)
    most_outstanding = MAX_RUNNING_DML + MAX_QUEUED_DML
    return {**peaks, f"DML outstanding {most_outstanding}": 100 * outstanding / most_outstanding}


def _percent(window: RateWindow) -> float:
    return 100 * window.peak / window.limit
