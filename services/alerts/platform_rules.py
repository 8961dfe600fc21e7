"""The rules about the platform: what is left behind, capacity, schedule, sources and notifications."""

from __future__ import annotations

from services.alerts.rule import (
    DESCRIBE_SERVICE_COMMAND,
    LIST_JOBS_COMMAND,
    LIST_SUBSCRIPTIONS_COMMAND,
    SCALE_DOWN_COMMAND,
    Rule,
)

PLATFORM_RULES = (
    Rule(
        name="staging_orphans",
        title="Orphaned staging tables",
        source="list of staging tables",
        threshold="older than {orphan_after_h} h, or within {expiry_warning_h} h of their expiry",
        description="They may hold unconsolidated rows and will expire.",
        hint="Consolidate or drop them.",
        page="staging_tables",
        cause="staging",
    ),
    Rule(
        name="width",
        title="Worker capacity drift",
        source="Cloud Run, and the annotations of the service",
        threshold="another capacity than the last one set from here, or no maximum at all",
        description="A deploy has undone the emergency limit, or nothing limits the workers.",
        hint="Scale the workers down, or restore their capacity.",
        page="worker_capacity",
        cause="width",
        command=SCALE_DOWN_COMMAND,
    ),
    Rule(
        name="schedule",
        title="Scheduled job missing, paused or late",
        source="Cloud Scheduler, and deploy/manifest/jobs.toml",
        threshold="an expected job does not exist, is paused, failed at its last attempt, or is 10 min late; a warning for the"
        " other jobs of the manifest, and for another schedule or target than declared",
        description="A deleted job fails silently.",
        hint="Resume it or run it now; a missing job is created by its owner.",
        page="system_health",
        cause="schedule",
        command=LIST_JOBS_COMMAND,
    ),
    Rule(
        name="service_drift",
        title="Service not as declared",
        source="Cloud Run, and deploy/manifest/services.toml",
        threshold="a declared variable is gone or differs, the newest revision did not become ready, or traffic is pinned",
        description="A deploy lost a variable, or does not serve: what the service writes may go nowhere.",
        hint="Deploy it again with the variable, or move its traffic to the latest revision.",
        page="system_health",
        cause="services",
        command=DESCRIBE_SERVICE_COMMAND,
    ),
    Rule(
        name="subscription_drift",
        title="Subscription not as declared",
        source="Pub/Sub, Cloud Run's addresses, Cloud Monitoring, and deploy/manifest/subscriptions.toml",
        threshold="a declared subscription is gone or pushes to another address than its service's, dead letters go elsewhere, or the"
        " oldest message waits longer than declared",
        description="Publishing succeeds into nothing: requests or completions never arrive.",
        hint="Correct the push address, or create the subscription again.",
        page="system_health",
        cause="subscriptions",
        command=LIST_SUBSCRIPTIONS_COMMAND,
    ),
    Rule(
        name="unreadable",
        title="Data source unavailable",
        source="every read of this check",
        threshold="one or more sources that did not answer",
        description="The status of the checks that need them is unknown.",
        hint="Check that the source answers and that this identity may read it.",
        page="overview",
        cause="sight",
    ),
    Rule(
        name="channel",
        title="No notification channel",
        source="SLACK_WEBHOOK_URL and ESCALATION_URL or ESCALATION_KEY, and the delivery of the last message to each",
        threshold="no channel is set, or the last message to one was not delivered",
        description="Alerts are visible only on this page, or one of the two channels is not delivering.",
        hint="Set the channel's address or key, then send it a test.",
        page="alerts",
        cause="channel",
    ),
)
