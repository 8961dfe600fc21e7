"""Concurrency: how wide are the workers now, against what the predictions table admits?"""

from __future__ import annotations

from app import charts, reads, session, widgets
from services.concurrency import ServiceWidth, Widths
from services.foundation.reading import Health, worst

cloud = session.cloud()


def sentence(service: ServiceWidth) -> str:
    if service.product is None:
        return f"{service.service} has no maximum: its width is not limited"
    product = f"{service.max_instances} × {service.request_concurrency} = {service.product}"
    return f"{service.service} is {product} wide ({service.width})"


def headline(facts: Widths) -> str:
    writers = [service for service in facts.services if service.writes_predictions]
    if not writers:
        return "No service that writes predictions was found"
    return "; ".join(f"{sentence(service)}, the table admits {charts.ADMITTED}" for service in writers)


def maximum(value: int | None) -> str:
    return "not set" if value is None else f"{value:,}"


def show(facts: Widths) -> None:
    health = worst(service.health for service in facts.services) if facts.services else Health.UNKNOWN
    widgets.verdict(health, headline(facts))
    charts.show(charts.widths(facts), "concurrency widths", "; ".join(map(sentence, facts.services)))
    widgets.listing(
        [
            {
                "service": service.service,
                "state": widgets.badge(service.health),
                "width": service.width,
                "max instances, service": maximum(service.max_instances_service),
                "max instances, revision": maximum(service.max_instances_revision),
                "requests each": service.request_concurrency,
                "product": service.product,
                "revision": service.revision,
                "since": widgets.day_time(service.revision_since),
                "changed by": service.changed_by or None,
            }
            for service in facts.services
        ],
        alt="Width of each service",
        empty="Cloud Run lists no service of the pipeline.",
    )
    widgets.footer(facts.sources, cloud.now())


facts = widgets.known(reads.widths(cloud), "The services' widths")
if facts is not None:
    show(facts)
