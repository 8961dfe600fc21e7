"""Worker capacity: the workers' capacity now, against the DML limit of the predictions table."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.actions import action_feed
from app.charts import bar_rows
from app.components import tables, text_format, widgets
from app.panels import capacity_panels, undo_buttons
from app.state import reads, session
from services.core.console_links import revisions_url
from services.core.result import Health, list_outdated, worst
from services.policy.dml_limits import MAX_OUTSTANDING_DML, MAX_QUEUED_DML, MAX_RUNNING_DML
from services.scaling.actions import SCALE_DOWN, SET_CAPACITY
from services.scaling.capacity import CapacityState, ServiceCapacities, ServiceCapacity
from services.scaling.move_traffic import MOVE_TRAFFIC

UNDOABLE = (SCALE_DOWN.name, SET_CAPACITY.name, MOVE_TRAFFIC.name)
STATE_WORDS = {
    CapacityState.EMERGENCY: "emergency limit",
    CapacityState.NORMAL: "normal",
    CapacityState.DRIFTED: "neither normal nor emergency limit",
}
cloud = session.cached_clients()


ROW_FORMATTERS: dict[str, Callable[[ServiceCapacity], object]] = {
    "health": lambda row: widgets.badge(row.health),
    "mode": lambda row: row.state,
    "max instances, service level": lambda row: format_max(row.actual.max_service),
    "max instances, revision level": lambda row: format_max(row.actual.max_revision),
    "concurrency per instance": lambda row: str(row.concurrency),
    "max concurrent requests": lambda row: str(row.capacity or "unbounded"),
    "revision": lambda row: row.revision,
    "traffic": lambda row: (
        "follows the latest revision" if row.follows_latest else "pinned: a new revision would not serve"
    ),
    "deployed": lambda row: text_format.format_day_time(row.revision_since),
    "deployed by": lambda row: row.changed_by,
}


def capacity_text(service: ServiceCapacity) -> str:
    if service.capacity is None:
        return f"{service.service}: no max instances set, unbounded"
    product_text = f"{service.max_instances} × {service.concurrency}"
    pinned_text = "" if service.follows_latest else f", traffic pinned to {service.revision}"
    return f"{service.service}: {service.capacity} concurrent requests ({product_text}, {STATE_WORDS[service.state]}{pinned_text})"


def headline(capacities: ServiceCapacities) -> str:
    writers = [service for service in capacities.services if service.writes_predictions]
    if not writers:
        return "No service that writes predictions found"
    return f"{'; '.join(map(capacity_text, writers))}; limit {MAX_OUTSTANDING_DML}"


def format_max(value: int | None) -> str:
    return "not set" if value is None else f"{value:,}"


def render(capacities: ServiceCapacities) -> None:
    health = worst(service.health for service in capacities.services) if capacities.services else Health.UNKNOWN
    limit = f"BigQuery allows {MAX_OUTSTANDING_DML} DML statements per table: {MAX_RUNNING_DML} running + {MAX_QUEUED_DML} queued"
    widgets.verdict(health, headline(capacities), (limit,), list_outdated((reading,)))
    undo_buttons.undo_lines(wait_for_log().value, UNDOABLE)
    capacity_panels.capacity_forms()
    bar_rows.show_html(bar_rows.capacities_html(capacities), "; ".join(map(capacity_text, capacities.services)))
    tables.text_table(
        [
            {"setting": name, **{entry.service: format_value(entry) for entry in capacities.services}}
            for name, format_value in ROW_FORMATTERS.items()
        ],
        alt="Capacity of each service",
        empty="Cloud Run lists no pipeline service.",
    )
    for service in capacities.services:
        if url := revisions_url(cloud.settings, service.service):
            st.link_button(f"{service.service} in Cloud Run", url, icon=":material/open_in_new:", type="tertiary")
    widgets.source_footer(capacities.sources, session.log_link_params("DML errors"))


wait_for_log = action_feed.fetch_log_async()
reading = reads.service_capacities(cloud)
capacities = widgets.value_or_notice(reading, "Service capacity")
if capacities is not None:
    render(capacities)
