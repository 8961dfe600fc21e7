"""Reference tables and services of the scenario: aliases, registry, unresolved names, Cloud Run as the handoff describes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.core.tables import PREDICTIONS_TABLE
from services.sandbox.scenarios.log_and_job_history import PROJECT
from services.sandbox.scenarios.rosters import all_players, scenario_config
from services.sandbox.scenarios.slate import Slate

Row = dict[str, Any]
_ALIASED_AT = "2025-12-30T02:10:00.000000Z"
_REGISTERED_AT = "2025-10-05T09:00:00.000000Z"


def alias_rows() -> Iterator[Row]:
    """The handoff's seven aliases, and the one that maps the wrong way."""
    for spec in scenario_config()["names"]:
        if spec.get("alias"):
            yield alias_row(spec["odds"], spec["odds_name"], spec["context"], spec["name"], spec["alias"])
        elif spec.get("wrong_way"):
            yield alias_row(spec["context"], spec["name"], spec["odds"], spec["odds_name"], "suffix_variation")


def alias_row(alias_lookup: str, alias_name: str, canonical_lookup: str, canonical_name: str, kind: str) -> Row:
    return {
        "alias_lookup": alias_lookup,
        "nba_canonical_lookup": canonical_lookup,
        "alias_display": alias_name,
        "nba_canonical_display": canonical_name,
        "alias_type": kind,
        "alias_source": "manual",
        "is_active": True,
        "notes": "Coverage investigation of 29 December",
        "created_by": "on-call@nba-props-platform",
        "created_at": _ALIASED_AT,
        "processed_at": _ALIASED_AT,
    }


def registry_rows() -> Iterator[Row]:
    """Every player of the season; the twins have two rows under two player ids."""
    for player in all_players():
        yield registry_row(player.lookup, player.name, player.team, player.position, 25 + len(player.lookup) % 8)
    for spec in scenario_config()["names"]:
        if spec.get("twin"):
            yield registry_row(spec["odds"], spec["odds_name"], spec["team"], "G", 4)


def registry_row(lookup: str, name: str, team: str, position: str, games: int) -> Row:
    return {
        "universal_player_id": f"{lookup}_001",
        "player_name": name,
        "player_lookup": lookup,
        "team_abbr": team,
        "season": scenario_config()["season"],
        "first_game_date": "2025-10-22",
        "last_game_date": "2025-12-28",
        "games_played": games,
        "jersey_number": len(lookup) % 40,
        "position": position,
        "source_priority": "roster_nba_com",
        "confidence_score": 1.0,
        "last_processor": "roster",
        "created_by": "roster",
        "created_at": _REGISTERED_AT,
        "processed_at": _REGISTERED_AT,
    }


def unresolved_rows(slate: Slate) -> Iterator[Row]:
    """The customer's queue holds the odds-feed names of the night that matched no context row."""
    for entry in slate.entries:
        if entry.odds_lookup != entry.player.lookup:
            yield {
                "source": "odds_api_props",
                "original_name": entry.player.odds_name,
                "normalized_lookup": entry.odds_lookup,
                "first_seen_date": slate.game_date.isoformat(),
                "last_seen_date": slate.game_date.isoformat(),
                "team_abbr": entry.player.team,
                "season": scenario_config()["season"],
                "occurrences": 1,
                "status": "pending",
                "created_at": f"{slate.game_date.isoformat()}T21:00:00.000000Z",
            }


SERVICE_ACCOUNT = f"prediction-worker@{PROJECT}.iam.gserviceaccount.com"
_COMMITS = {"00011-zw5": "98cb174a", "00010-k7d": "5c2f1b70", "00005-b2r": "98cb174a", "00004-m2x": "5c2f1b70"}
_ENVIRONMENT = {
    "prediction-worker": {
        "GCP_PROJECT_ID": PROJECT,
        "PREDICTIONS_TABLE": PREDICTIONS_TABLE,
        "PUBSUB_READY_TOPIC": "prediction-ready-prod",
    },
    "prediction-coordinator": {
        "GCP_PROJECT_ID": PROJECT,
        "PREDICTION_REQUEST_TOPIC": "prediction-request-prod",
        "PREDICTION_READY_TOPIC": "prediction-ready-prod",
    },
}


def service_resources() -> list[Row]:
    return [
        _service_resource("prediction-worker", "00011-zw5", 4, 3, "2025-12-30T01:20:00.000000Z", "11"),
        _service_resource("prediction-coordinator", "00005-b2r", 1, 8, "2025-12-30T01:18:00.000000Z", "5"),
    ]


def _service_resource(name: str, revision: str, instances: int, concurrency: int, at: str, generation: str) -> Row:
    full_name = f"projects/{PROJECT}/locations/us-west2/services/{name}"
    revision_name = f"{full_name}/revisions/{name}-{revision}"
    return {
        "name": full_name,
        "uid": f"sandbox-{name}",
        "generation": generation,
        "observedGeneration": generation,
        "annotations": {},
        "createTime": "2025-11-02T10:00:00.000000Z",
        "updateTime": at,
        "creator": "deploy@nba-props-platform.iam.gserviceaccount.com",
        "lastModifier": "on-call@nba-props-platform",
        "ingress": "INGRESS_TRAFFIC_ALL",
        "launchStage": "GA",
        "template": {
            "scaling": {"maxInstanceCount": instances},
            "maxInstanceRequestConcurrency": concurrency,
            "timeout": "300s",
            "serviceAccount": SERVICE_ACCOUNT,
            "labels": {"commit-sha": _COMMITS[revision]},
            "containers": _containers(name),
        },
        "traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}],
        "latestReadyRevision": revision_name,
        "latestCreatedRevision": revision_name,
        "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED", "lastTransitionTime": at},
    }


def revision_resources() -> list[Row]:
    """The serving revisions, and those before the emergency; the worker's was 20 × 5."""
    return [
        _revision_resource("prediction-worker", "00010-k7d", 20, 5, "2025-12-18T18:02:00.000000Z"),
        _revision_resource("prediction-worker", "00011-zw5", 4, 3, "2025-12-30T01:20:00.000000Z"),
        _revision_resource("prediction-coordinator", "00004-m2x", 1, 8, "2025-12-18T18:00:00.000000Z"),
        _revision_resource("prediction-coordinator", "00005-b2r", 1, 8, "2025-12-30T01:18:00.000000Z"),
    ]


def _revision_resource(name: str, revision: str, instances: int, concurrency: int, at: str) -> Row:
    service = f"projects/{PROJECT}/locations/us-west2/services/{name}"
    return {
        "name": f"{service}/revisions/{name}-{revision}",
        "service": service,
        "createTime": at,
        "creator": "on-call@nba-props-platform",
        "scaling": {"maxInstanceCount": instances},
        "maxInstanceRequestConcurrency": concurrency,
        "serviceAccount": SERVICE_ACCOUNT,
        "labels": {"commit-sha": _COMMITS[revision]},
        "containers": _containers(name),
    }


def _containers(name: str) -> list[Row]:
    """The one container of a service, with its environment as the customer deploys it."""
    env: list[Row] = [{"name": key, "value": value} for key, value in _ENVIRONMENT[name].items()]
    if name == "prediction-coordinator":
        secret = {"secretKeyRef": {"secret": "coordinator-api-key", "version": "latest"}}
        env.append({"name": "COORDINATOR_API_KEY", "valueSource": secret})
    return [{"image": f"us-west2-docker.pkg.dev/{PROJECT}/prediction/{name}:latest", "env": env}]
