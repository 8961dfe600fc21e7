"""Bars as HTML where a capacity is unlimited."""

from __future__ import annotations

from app.charts import bar_rows
from services.core.result import Health
from services.scaling.annotations import CapacitySetting
from services.scaling.capacity import CapacityState, ServiceCapacities, ServiceCapacity


def test_an_unlimited_capacity_is_stated_and_has_no_bar():
    unlimited = ServiceCapacity(
        "worker", CapacitySetting(None, None, 3), "r", None, "", "", CapacityState.DRIFTED, Health.CRITICAL, True
    )
    chart_html = bar_rows.capacities_html(ServiceCapacities((unlimited,), ()))
    assert "<b>no maximum set</b>" in chart_html
    assert 'title="' not in chart_html
    assert "DML limit 22" in chart_html
