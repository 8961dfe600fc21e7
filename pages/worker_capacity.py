"""Worker capacity: the workers' capacity now, against the DML limit of the predictions table."""

from __future__ import annotations

from collections.abc import Callable

from app.charts import bar_rows
from app.components import tables, text_format, widgets
from app.panels import repair_buttons
from app.state import reads, session
from services.core.result import Health, list_outdated, worst
from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.scaling.capacity import ServiceCapacities, ServiceCapacity

cloud = session.cached_clients()


ROW_FORMATTERS: dict[str, Callable[[ServiceCapacity], object]] = {
    "state": lambda row: widgets.badge(row.health),
    "width": lambda row: row.state,
    "max instances, service level": lambda row: format_max(row.actual.max_service),
    "max instances, revision level": lambda row: format_max(row.actual.max_revision),
    "requests each instance takes": lambda row: str(row.concurrency),
    "most requests at once": lambda row: str(row.capacity or "not limited"),
    "revision": lambda row: row.revision,
    "traffic": lambda row: "follows the latest" if row.follows_latest else "pinned: a new revision would not serve",
    "serving since": lambda row: text_format.format_day_time(row.revision_since),
    "changed by": lambda row: row.changed_by,
}


def capacity_text(service: ServiceCapacity) -> str:
    if service.capacity is None:
        return f"{service.service} has no maximum: its width is not limited"
    product_text = f"{service.max_instances} × {service.concurrency} = {service.capacity}"
    pinned_text = "" if service.follows_latest else f", its traffic pinned to {service.revision}"
    return f"{service.service} is {product_text} wide ({service.state}{pinned_text})"


def headline(capacities: ServiceCapacities) -> str:
    writers = [service for service in capacities.services if service.writes_predictions]
    if not writers:
        return "No service that writes predictions was found"
    return "; ".join(f"{capacity_text(service)}, the table admits {MAX_OUTSTANDING_DML}" for service in writers)


def format_max(value: int | None) -> str:
    return "not set" if value is None else f"{value:,}"


def render(capacities: ServiceCapacities) -> None:
    health = worst(service.health for service in capacities.services) if capacities.services else Health.UNKNOWN
    widgets.verdict(health, headline(capacities), outdated=list_outdated((reading,)))
    repair_buttons.scaling_form()
    bar_rows.show_html(bar_rows.capacities_html(capacities), "; ".join(map(capacity_text, capacities.services)))
    tables.text_table(
        [
            {"": name, **{entry.service: format_value(entry) for entry in capacities.services}}
            for name, format_value in ROW_FORMATTERS.items()
        ],
        alt="Width of each service",
        empty="Cloud Run lists no service of the pipeline.",
    )
    widgets.source_footer(capacities.sources, session.log_link_params("DML errors"))


reading = reads.service_capacities(cloud)
capacities = widgets.value_or_notice(reading, "The services' widths")
if capacities is not None:
    render(capacities)
