"""The badges of health."""

from __future__ import annotations

from app.components import widgets
from services.core.result import Health


def test_every_health_badge_has_its_own_icon_and_its_name():
    badges = {health: widgets.badge(health) for health in Health}
    assert all(health.value in badge and ":material/" in badge for health, badge in badges.items())
    assert len({badge.split("material/")[1].split(":")[0] for badge in badges.values()}) == len(Health)
