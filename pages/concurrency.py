"""Concurrency: how wide are the workers now, against what the predictions table admits?"""

from __future__ import annotations

from collections.abc import Callable

from app.charts import bar_rows as bars
from app.components import tables, widgets
from app.components import text_format as words
from app.panels import repair_buttons as repairs
from app.state import reads, session
from services.core.result import Health, worst
from services.policy.dml_limits import ADMITTED
from services.scaling.service_widths import ServiceWidth, Widths

cloud = session.cloud()


LINES: dict[str, Callable[[ServiceWidth], object]] = {
    "state": lambda each: widgets.badge(each.health),
    "width": lambda each: each.width,
    "max instances, service level": lambda each: maximum(each.max_instances_service),
    "max instances, revision level": lambda each: maximum(each.max_instances_revision),
    "requests each instance takes": lambda each: str(each.request_concurrency),
    "most requests at once": lambda each: str(each.product or "not limited"),
    "revision": lambda each: each.revision,
    "serving since": lambda each: words.day_time(each.revision_since),
    "changed by": lambda each: each.changed_by,
}


def sentence(service: ServiceWidth) -> str:
    if service.product is None:
        return f"{service.service} has no maximum: its width is not limited"
    product = f"{service.max_instances} × {service.request_concurrency} = {service.product}"
    return f"{service.service} is {product} wide ({service.width})"


def headline(facts: Widths) -> str:
    writers = [service for service in facts.services if service.writes_predictions]
    if not writers:
        return "No service that writes predictions was found"
    return "; ".join(f"{sentence(service)}, the table admits {ADMITTED}" for service in writers)


def maximum(value: int | None) -> str:
    return "not set" if value is None else f"{value:,}"


def show(facts: Widths) -> None:
    health = worst(service.health for service in facts.services) if facts.services else Health.UNKNOWN
    widgets.verdict(health, headline(facts))
    repairs.of_width()
    bars.show(bars.widths(facts), "; ".join(map(sentence, facts.services)))
    tables.listing(
        [{"": name, **{each.service: tell(each) for each in facts.services}} for name, tell in LINES.items()],
        alt="Width of each service",
        empty="Cloud Run lists no service of the pipeline.",
    )
    widgets.footer(facts.sources, cloud.now(), session.log("DML errors"))


facts = widgets.known(reads.widths(cloud), "The services' widths")
if facts is not None:
    show(facts)
