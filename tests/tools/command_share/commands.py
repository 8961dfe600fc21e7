"""The customer's own commands, by how often each stands in their handoffs, and the call of ours that answers each.

Source: the frequencies counted over 2,332 of the customer's handoff files (facts/original-system.md §8.4). Umbrella counts are left
out where their parts are listed: `bq query` (2,329) is the sum of the tables it asks, `is_active = TRUE` (317) a clause of such
queries, and an identity token (284) a part of a curl that is listed itself. `gcloud logging read` (887) is split into the three parts
that were counted, and the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

NIGHT = ("--date", "2025-12-29")
STAGED_NIGHT, CONSOLIDATED_NIGHT = (
    ("--date", "2025-12-25"),
    ("--date", "2025-12-23"),
)  # 29 December wrote without staging
GRADED_NIGHT = ("--date", "2025-12-28")  # whose games are over


@dataclass(frozen=True)
class HandCommand:
    """One command of the customer. `calls` are the words after `oncall` that answer it; none: `left_out` says why.

    `of_the_night`: it concerns the prediction night, its inputs or its outputs. `applied`: its plan is carried out too.
    """

    name: str
    hits: int
    calls: tuple[tuple[str, ...], ...] = ()
    left_out: str = ""
    of_the_night: bool = True
    applied: bool = False


COMMANDS = (
    HandCommand(
        "bq: the predictions table",
        901,
        (
            ("systems", *NIGHT),
            ("players", *NIGHT),
            ("coverage", *NIGHT, "--nights", "7"),
            ("missing", *NIGHT),
            ("count", "--by", "date,system,active", "--from", "2025-12-23", "--to", "2025-12-29"),
        ),
    ),
    HandCommand("bq: player_game_summary", 618, (("pipeline", *GRADED_NIGHT, "--step", "box_scores"),)),
    HandCommand("/validate-daily", 613, (("night", *NIGHT),)),
    HandCommand("bq: prediction_accuracy", 523, (("pipeline", *GRADED_NIGHT, "--step", "grading"),)),
    HandCommand(
        "gcloud logging read, other filters",
        525,
        (
            ("logs", "--filter", 'textPayload=~"Published [0-9]+" OR textPayload:"STALLED"', *NIGHT),
            ("logs", "--service", "prediction-coordinator", "--from", "2025-12-29T14:00", "--to", "2025-12-29T15:00"),
        ),
    ),
    HandCommand("gcloud logging read, coordinator", 134, (("logs", "consolidation", *CONSOLIDATED_NIGHT),)),
    HandCommand("gcloud logging read, worker", 118, (("logs", "staging", *STAGED_NIGHT), ("logs", "failed", *NIGHT))),
    HandCommand("gcloud logging read, severity>=ERROR", 110, (("logs", "service", *NIGHT),)),
    HandCommand("curl /health", 472, (("doctor",),)),
    HandCommand("gcloud run services describe", 394, (("services",), ("capacity",))),
    HandCommand("bq: ml_feature_store_v2", 376, (("pipeline", *NIGHT, "--step", "features"), ("pipeline", *NIGHT))),
    HandCommand("deploy script", 359, left_out="deploying is not on-call work of this product", of_the_night=False),
    HandCommand("Firestore snippets (state of a batch)", 265, (("runs", *NIGHT),)),
    HandCommand("bq: _staging_", 253, (("staging", "--tables"),)),
    HandCommand("drift check (deployed commit)", 238, (("services",),), of_the_night=False),
    HandCommand(
        "gcloud run services update",
        221,
        (("do", "set-capacity", "--instances", "4", "--requests", "5"),),
        applied=True,
    ),
    HandCommand(
        "gcloud functions logs",
        212,
        (("logs", "--source", "Cloud Functions", "--service", "phase4-to-phase5-orchestrator", *NIGHT),),
        of_the_night=False,
    ),
    HandCommand("gcloud scheduler jobs run", 190, (("do", "run-job", "missing-prediction-check"),), applied=True),
    HandCommand("bq: upcoming_player_game_context", 188, (("players", *NIGHT), ("coverage", *NIGHT))),
    HandCommand("gcloud scheduler jobs list", 135, (("schedule",),)),
    HandCommand("bq: schedule", 135, (("pipeline", *NIGHT, "--step", "schedule"),)),
    HandCommand("gcloud pubsub topics publish", 110, left_out="messages to other phases", of_the_night=False),
    HandCommand("gcloud scheduler jobs describe", 104, (("schedule",),)),
    HandCommand("bq: processor_run_history", 104, (("pipeline", *GRADED_NIGHT),)),
    HandCommand("daily_health_check.sh", 96, (("night", *NIGHT), ("doctor",), ("schedule",))),
    HandCommand("gcloud run services update-traffic", 93, (("do", "move-traffic"),)),
    HandCommand("POST /start", 90, (("do", "run", "2025-12-29"),), applied=True),
    HandCommand("bq: odds props", 83, (("names", *NIGHT),)),
    HandCommand("bq ls", 77, (("staging", "--tables"),)),
    HandCommand("gcloud run revisions list", 44, (("deploys",),)),
    HandCommand("/check-stalled", 38, (("runs", *NIGHT), ("alerts",))),
    HandCommand("/regenerate", 27, (("do", "run", "2025-12-29", "--scope", "date"),)),
    HandCommand("/status", 26, (("runs", *NIGHT),)),
    HandCommand("bq: registry_failures", 22, (("names", *NIGHT),)),
    HandCommand("bq: prediction_batches", 20, (("runs", *NIGHT),)),
    HandCommand("bq rm", 14, (("do", "drop", "--batch", "batch_2025-12-23_1766507400"),)),
    HandCommand("DLQ pull", 13, left_out="where dead letters go is read, their messages are not", of_the_night=False),
    HandCommand("Pub/Sub seek", 12, left_out="messages are not replayed", of_the_night=False),
    HandCommand("bq: aliases", 7, (("aliases",),)),
    HandCommand("bq: worker_runs", 3, (("missing", *NIGHT),)),
)
