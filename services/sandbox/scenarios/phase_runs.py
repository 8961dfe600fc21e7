"""The processors of the steps before and after the predictions, and their runs in the customer's run history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from services.core.clock import to_rfc3339
from services.sandbox.scenarios.rows import Row, seeded_id

SCHEDULE, INJURIES = "nba_raw.nbac_schedule", "nba_raw.nbac_injury_report"
FEATURES, BOX_SCORES = "nba_predictions.ml_feature_store_v2", "nba_analytics.player_game_summary"
GRADES, RUNS = "nba_predictions.prediction_accuracy", "nba_reference.processor_run_history"


@dataclass(frozen=True)
class Processor:
    """Who makes the rows of a step, and how long that takes."""

    name: str
    phase: str
    service: str
    table: str
    takes: timedelta


PROCESSORS = {
    "schedule": Processor(
        "NbacScheduleProcessor", "phase_2_raw", "nba-phase2-raw-processors", SCHEDULE, timedelta(seconds=40)
    ),
    "injuries": Processor(
        "NbacInjuryReportProcessor", "phase_2_raw", "nba-phase2-raw-processors", INJURIES, timedelta(seconds=55)
    ),
    "odds": Processor(
        "OddsApiPropsProcessor",
        "phase_2_raw",
        "nba-phase2-raw-processors",
        "nba_raw.odds_api_player_points_props",
        timedelta(seconds=70),
    ),
    "context": Processor(
        "UpcomingPlayerGameContextProcessor",
        "phase_3_analytics",
        "nba-phase3-analytics-processors",
        "nba_analytics.upcoming_player_game_context",
        timedelta(minutes=6),
    ),
    "features": Processor(
        "MLFeatureStoreProcessor",
        "phase_4_precompute",
        "nba-phase4-precompute-processors",
        FEATURES,
        timedelta(minutes=9),
    ),
    "export": Processor("Phase6Export", "phase_6_export", "phase6-export", "gs://nba-props-api", timedelta(minutes=2)),
    "box_scores": Processor(
        "PlayerGameSummaryProcessor",
        "phase_3_analytics",
        "nba-phase3-analytics-processors",
        BOX_SCORES,
        timedelta(minutes=5),
    ),
    "grading": Processor(
        "PredictionAccuracyProcessor", "phase_5_grading", "phase5b-grading", GRADES, timedelta(minutes=3)
    ),
}


def run_rows(
    step: str, game_date: date, started_at: datetime, ended_at: datetime | None, records: int, error: str = ""
) -> Iterator[Row]:
    """A row when the run starts, another when it ends, as far as it does."""
    processor = PROCESSORS[step]
    common = {
        "processor_name": processor.name,
        "run_id": f"{processor.name}_{game_date}_{seeded_id('run', step, game_date)[:8]}",
        "season_year": 2025,
        "data_date": game_date.isoformat(),
        "started_at": to_rfc3339(started_at),
        "phase": processor.phase,
        "output_table": processor.table,
        "cloud_run_service": processor.service,
    }
    yield {**common, "status": "running", "processed_at": to_rfc3339(started_at)}
    if ended_at is not None:
        yield {
            **common,
            **({"errors": [error]} if error else {}),
            "status": "failed" if error else "success",
            "records_processed": records,
            "duration_seconds": processor.takes.total_seconds(),
            "processed_at": to_rfc3339(ended_at),
        }
