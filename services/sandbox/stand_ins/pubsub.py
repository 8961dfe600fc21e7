"""Pub/Sub's topics and subscriptions with their backlog, as the customer has them in December."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from services.core.clock import to_rfc3339

Resource = dict[str, Any]

_TOPICS = ("prediction-request-prod", "prediction-request-dlq", "prediction-ready-prod", "prediction-batch-complete")
_PULLED = ("prediction-request-dlq", "prediction-batch-complete")  # by a person, or another phase


@dataclass
class PubSub:
    """The topics' names, the subscriptions as Pub/Sub returns them, and of each its oldest unacked age (s) and messages."""

    topics: list[str] = field(default_factory=list)
    subscriptions: list[Resource] = field(default_factory=list)
    backlog: dict[str, tuple[int, int]] = field(default_factory=dict)

    def seed(self, project: str, base_url: str) -> None:
        """Two subscriptions that push to the worker and the coordinator, and two that are pulled; nothing waits."""
        push = {
            "prediction-request-prod": f"{base_url}/run/prediction-worker/predict",
            "prediction-ready-prod": f"{base_url}/run/prediction-coordinator/complete",
        }
        self.topics[:] = _TOPICS
        self.subscriptions[:] = [
            {
                "name": f"projects/{project}/subscriptions/{topic}",
                "topic": f"projects/{project}/topics/{topic}",
                "ackDeadlineSeconds": 300,
                "state": "ACTIVE",
                "pushConfig": {"pushEndpoint": push[topic]} if topic not in _PULLED else {},
            }
            for topic in _TOPICS
        ]
        dead_letters = {
            "deadLetterTopic": f"projects/{project}/topics/prediction-request-dlq",
            "maxDeliveryAttempts": 5,
        }
        self.subscriptions[0]["deadLetterPolicy"] = dead_letters
        self.backlog = dict.fromkeys(_TOPICS, (0, 0))

    def time_series(self, project: str, metric: str, now: datetime) -> Iterator[Resource]:
        """The newest point of one of the two metrics, of every subscription."""
        index = {"oldest_unacked_message_age": 0, "num_undelivered_messages": 1}.get(metric.rpartition("/")[2])
        if index is None:
            return
        at = to_rfc3339(now - timedelta(minutes=4))  # a point is visible some minutes later
        for name, values in self.backlog.items():
            labels = {"project_id": project, "subscription_id": name}
            point = {"interval": {"startTime": at, "endTime": at}, "value": {"int64Value": str(values[index])}}
            yield {
                "metric": {"type": metric},
                "resource": {"type": "pubsub_subscription", "labels": labels},
                "metricKind": "GAUGE",
                "valueType": "INT64",
                "points": [point],
            }
