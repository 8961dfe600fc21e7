"""The rules as data: each is complete, and an alert of a rule that is gone can still be shown."""

from __future__ import annotations

from services.alerts.rules import RULES, RULES_BY_NAME, get_rule
from services.core.settings import Settings
from tests.support.alert_factories import SETTINGS


def test_an_alert_of_a_removed_rule_still_renders():
    assert get_rule("dml_rejections").page == "dml_errors"
    assert get_rule("an_old_rule").hint == "Resolve the alert."


def test_every_rule_has_a_source_threshold_description_and_remedy():
    for rule in RULES:
        assert all([rule.source, rule.format_threshold(SETTINGS), rule.description, rule.hint, rule.page])
    assert "5 writes rejected by the DML limit within 60 s" in RULES[0].format_threshold(SETTINGS)


def test_the_coverage_rule_names_the_thresholds_that_classify():
    assert RULES_BY_NAME["coverage"].format_threshold(SETTINGS) == (
        "below 95 % (critical 85 %) of those eligible once a batch has ended,"
        " and at the latest 90 min before the first tip-off"
    )


def test_the_rows_rule_names_the_systems_with_thresholds_of_their_own():
    settings = Settings.from_env({"ROWS_WARNING_PCT_BY_SYSTEM": "xgboost_v1=90"})
    text = RULES_BY_NAME["rows_short"].format_threshold(settings)
    assert text.endswith("expected of a system (critical 85%); xgboost_v1 90% (critical 85%)")
    assert RULES_BY_NAME["rows_short"].format_threshold(SETTINGS).endswith("of a system (critical 85%)")
