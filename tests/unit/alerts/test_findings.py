"""When a result fires, how its command names night and batch, and when a night must be covered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.alerts.findings import (
    NightContext,
    RuleResult,
    all_active,
    format_clock_time,
    format_count,
    format_total,
)
from services.alerts.rules import RULES_BY_NAME
from services.core.result import Health
from services.core.settings import Settings
from tests.support.alert_factories import (
    BATCH,
    NIGHT,
    NOW,
    SETTINGS,
    failed_result,
    make_night_snapshot,
    make_players,
    make_unrequested_players,
    ok_result,
)
from tests.support.factories import TIP_OFF, make_night


@pytest.mark.parametrize(
    ("health", "message", "cause", "firing"),
    [
        (Health.CRITICAL, "", "run", True),
        (Health.WARNING, "So.", "run", True),
        (Health.OK, "So.", "sight", False),
        (Health.UNKNOWN, "So.", "run", False),
        (Health.UNKNOWN, "So.", "sight", True),
        (Health.UNKNOWN, "So.", "sight-logs", True),
        (Health.UNKNOWN, "", "sight", False),
    ],
)
def test_unknown_fires_only_where_a_source_is_away_and_says_so(health, message, cause, firing):
    assert RuleResult(RULES_BY_NAME["stalled"], health, message, cause).firing is firing


def test_a_command_names_night_batch_and_the_projects_own_names():
    settings = Settings.from_env({})
    rule_results = {
        name: RuleResult(RULES_BY_NAME[name], Health.CRITICAL, "", "run", NIGHT, BATCH) for name in RULES_BY_NAME
    }
    assert f'"batch_id": "{BATCH}"' in rule_results["stalled"].format_command(settings)
    assert '"game_date": "2025-12-29"' in rule_results["at_zero"].format_command(settings)
    narrow = rule_results["width"].format_command(settings)
    assert narrow.startswith(f"gcloud run services update {settings.worker_service} ")
    assert narrow.endswith(f"--region={settings.region} --project={settings.project}")
    no_night = RuleResult(RULES_BY_NAME["at_zero"], Health.CRITICAL, "", "run").format_command(settings)
    assert '"game_date": ""' in no_night


def context(now: datetime = NOW, **night: object) -> NightContext:
    return NightContext(make_night_snapshot(**night), SETTINGS, now)


def test_a_night_is_due_from_some_minutes_before_its_first_tip_off_on():
    due = TIP_OFF - timedelta(minutes=SETTINGS.run_deadline_before_tipoff_min)
    assert not context(due - timedelta(seconds=1)).coverage_due
    assert context(due).coverage_due is True
    assert context(due, night=failed_result()).coverage_due is False
    assert context(due, night=ok_result(make_night(tip_offs=()))).coverage_due is False


def test_a_night_is_played_when_it_has_games_or_players():
    assert context().played_night is not None
    assert context(night=ok_result(make_night(games=0))).played_night is None
    assert context(night=ok_result(make_night(games=3))).played_night is not None
    assert context(night=ok_result(make_night(*make_players(1), games=0))).played_night is not None
    assert context(night=failed_result()).played_night is None


def test_all_active_needs_somebody_eligible_and_everybody_active():
    assert all_active(make_night(*make_players(2)))
    assert not all_active(make_night(*make_players(2), *make_unrequested_players(1)))
    assert not all_active(make_night())
    assert not all_active(None)


def test_the_formats_of_the_sentences_name_what_is_not_known():
    assert (format_total(0), format_total(None)) == (" of 0", "")
    assert (format_count(0), format_count(None)) == ("0", "unknown")
    at = datetime(2025, 12, 30, 0, 0, tzinfo=UTC)
    assert (format_clock_time(at), format_clock_time(None)) == ("19:00:00 ET", "unknown time")
