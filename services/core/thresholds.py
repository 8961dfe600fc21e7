"""The thresholds by which a night is judged: dashboard, watchdog and coordinator read the same ones.

`deploy/thresholds.env` is the one place where they are set: deploy/apply.sh gives it to each service, `make run` to each process.
"""

from __future__ import annotations

import hashlib
from typing import Self

from pydantic import Field, model_validator

from services.core.env_settings import (
    EnvSettings,
    Percent,
    PercentBySystem,
    PositiveFloat,
    PositiveInt,
    format_value,
)
from services.core.errors import SettingsError


class Thresholds(EnvSettings):
    """Every threshold of the judgement and of the alert rules. Those `_by_system` name systems with a value of their own."""

    coverage_warning_pct: Percent = Field(
        95.0, validation_alias="COVERAGE_WARNING_PCT", description="coverage below this is a warning"
    )
    coverage_critical_pct: Percent = Field(
        85.0, validation_alias="COVERAGE_CRITICAL_PCT", description="coverage below this is critical"
    )
    rows_warning_pct: Percent = Field(
        100.0,
        validation_alias="ROWS_WARNING_PCT",
        description="active rows of those expected: a system below this is a warning",
    )
    rows_critical_pct: Percent = Field(
        85.0, validation_alias="ROWS_CRITICAL_PCT", description="a system below this is critical"
    )
    rows_warning_pct_by_system: PercentBySystem = Field(
        (),
        validation_alias="ROWS_WARNING_PCT_BY_SYSTEM",
        description="systems with another ROWS_WARNING_PCT: xgboost_v1=80,ensemble_v1=90",
    )
    rows_critical_pct_by_system: PercentBySystem = Field(
        (),
        validation_alias="ROWS_CRITICAL_PCT_BY_SYSTEM",
        description="systems with another ROWS_CRITICAL_PCT",
    )
    rows_usual_pct: Percent = Field(
        95.0,
        validation_alias="ROWS_USUAL_PCT",
        description="a system that writes the same rows every night is short below this share of them …",
    )
    rows_usual_varying_pct: Percent = Field(
        50.0,
        validation_alias="ROWS_USUAL_VARYING_PCT",
        description="… and one that leaves players out, or whose lines differ by player, below this share",
    )
    inputs_usual_pct: Percent = Field(
        80.0,
        validation_alias="INPUTS_USUAL_PCT",
        description="eligible players, context or odds per game below this share of the usual: inputs have shrunk",
    )
    inputs_min_nights: PositiveInt = Field(
        5,
        validation_alias="INPUTS_MIN_NIGHTS",
        description="earlier nights that inputs are compared with: with fewer, what is usual is not recorded",
    )
    write_success_pct: Percent = Field(
        99.0,
        validation_alias="WRITE_SUCCESS_PCT",
        description="players written of those generated: critical below this",
    )
    collapsed_max_pct: Percent = Field(
        10.0,
        validation_alias="COLLAPSED_MAX_PCT",
        description="rows that share the key of another: critical above this",
    )
    unresolved_increase: PositiveInt = Field(
        10,
        validation_alias="UNRESOLVED_INCREASE",
        description="more unmatched names than the night before: a warning from this …",
    )
    unresolved_increase_pct_points: Percent = Field(
        10.0,
        validation_alias="UNRESOLVED_INCREASE_PCT_POINTS",
        description="… if they are also so many percentage points more of the names with odds",
    )
    dml_alert_errors: PositiveInt = Field(
        5, validation_alias="DML_ALERT_ERRORS", description="rejected writes that raise the DML alert …"
    )
    dml_alert_window_s: PositiveInt = Field(
        60, validation_alias="DML_ALERT_WINDOW_S", description="… within this many seconds"
    )
    unanswered_players: PositiveInt = Field(
        1, validation_alias="UNANSWERED_PLAYERS", description="players without an answer in a batch: critical from this"
    )
    zero_progress_min: PositiveFloat = Field(
        5.0,
        validation_alias="ZERO_PROGRESS_MIN",
        description="minutes after which a batch without progress, or without a log line, is reported",
    )
    run_deadline_before_tipoff_min: PositiveInt = Field(
        90,
        validation_alias="RUN_DEADLINE_MIN",
        description="minutes before the first tip-off at which the night must be covered",
    )
    run_earliest_before_tipoff_h: PositiveFloat = Field(
        36.0,
        validation_alias="RUN_EARLIEST_H",
        description="hours before the first tip-off: a run that starts earlier runs at the wrong time",
    )
    source_stale_h: PositiveFloat = Field(
        3.0,
        validation_alias="SOURCE_STALE_H",
        description="hours by which odds or context may be older than usual at the run deadline",
    )
    orphan_after_h: PositiveFloat = Field(
        24.0, validation_alias="ORPHAN_AFTER_H", description="age in hours at which a staging table is an orphan"
    )
    expiry_warning_h: PositiveFloat = Field(
        24.0, validation_alias="EXPIRY_WARNING_H", description="hours before its expiry: a staging table is critical"
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        self._check_pair("COVERAGE", self.coverage_warning_pct, self.coverage_critical_pct)
        self._check_pair("ROWS", self.rows_warning_pct, self.rows_critical_pct)
        for system, pcts in self.rows_pct_by_system:
            self._check_pair("ROWS", *pcts, of=f" of {system}")
        return self

    def _check_pair(self, name: str, warning_pct: float, critical_pct: float, of: str = "") -> None:
        if critical_pct > warning_pct:
            raise SettingsError(
                f"{name}_CRITICAL_PCT{of} ({critical_pct:g}) is above {name}_WARNING_PCT{of} ({warning_pct:g}).",
                "Set the critical threshold at or below the warning one.",
            )

    def rows_pct(self, system: str) -> tuple[float, float]:
        """The warning and the critical threshold of a system's rows."""
        return (
            dict(self.rows_warning_pct_by_system).get(system, self.rows_warning_pct),
            dict(self.rows_critical_pct_by_system).get(system, self.rows_critical_pct),
        )

    @property
    def rows_pct_by_system(self) -> tuple[tuple[str, tuple[float, float]], ...]:
        """The systems with thresholds of their own, and both of them."""
        systems = sorted(dict((*self.rows_warning_pct_by_system, *self.rows_critical_pct_by_system)))
        return tuple((system, self.rows_pct(system)) for system in systems)

    @property
    def fingerprint(self) -> str:
        """Eight characters that are the same in two processes exactly when every threshold is."""
        values = (f"{name}={format_value(getattr(self, name))}" for name in sorted(Thresholds.model_fields))
        return hashlib.sha256("\n".join(values).encode()).hexdigest()[:8]
