"""The badges of health, and the verdict of readings that are not up to date."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from streamlit.testing.v1 import AppTest

from app.components import widgets
from services.core.result import Health, Problem


def test_every_health_badge_has_its_own_icon_and_its_name():
    badges = {health: widgets.badge(health) for health in Health}
    assert all(health.value in badge and ":material/" in badge for health, badge in badges.items())
    assert len({badge.split("material/")[1].split(":")[0] for badge in badges.values()}) == len(Health)


def render_page(health: Health, *problems: Problem) -> AppTest:
    """A page whose readings are outdated for these reasons: a panel of the first, the verdict of all, a panel of the last."""

    def page(health, problems):  # Streamlit runs its source alone, so that it imports what it needs
        from app.components import widgets
        from app.state import background_cache, session
        from services.core.result import Result, list_outdated

        session.FIRST_PAINT_DELAY_S = 0.0
        background_cache.start_render()
        results = [Result("value", outdated=problem) for problem in problems]
        values = [widgets.value_or_notice(result) for result in results[:1]]
        widgets.verdict(health, "All are active", outdated=list_outdated(results))
        values += [widgets.value_or_notice(result) for result in results[1:]]
        assert values == ["value"] * len(problems)

    app = AppTest.from_function(page, kwargs={"health": health, "problems": problems}).run()
    assert not app.exception, app.exception
    return app


@pytest.mark.parametrize(
    ("health", "icon"),
    [
        (Health.OK, ":violet[:material/help:]"),
        (Health.WARNING, ":violet[:material/help:]"),
        (Health.NONE_EXPECTED, ":violet[:material/help:]"),
        (Health.CRITICAL, ":red[:material/error:]"),
    ],
)
def test_a_verdict_of_an_outdated_reading_is_unknown_at_best_and_each_source_is_named_once(health, icon):
    since = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
    problems = [Problem("The warehouse", since, "BigQuery does not answer; data of 01:45:10 ET, 98 s old.")] * 2
    app = render_page(health, *problems, Problem("Cloud Run", since, "Refused; data of 01:46:00 ET, 48 s old."))
    assert app.markdown[0].value == f"## {icon} All are active"
    # A zero-width space keeps a name from becoming an icon.
    first, second = (caption.value.replace("\\", "").replace("\N{ZERO WIDTH SPACE}", "") for caption in app.caption)
    assert first == (
        ":orange[:material/history:] **The warehouse:** BigQuery does not answer; data of 01:45:10 ET, 98 s old."
    )
    assert second.startswith(":orange[:material/history:] **Cloud Run:** ")


def test_a_verdict_of_fresh_readings_stays_as_it_was_judged():
    app = render_page(Health.OK)
    assert app.markdown[0].value.startswith("## :green[")
    assert not app.caption
