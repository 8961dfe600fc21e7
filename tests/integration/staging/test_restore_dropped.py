"""A drop can be undone for as long as BigQuery keeps the tables, and no longer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.core.errors import InvalidInput
from services.staging.restore_dropped import UNDO_DROP, restore_window


def test_a_drop_cannot_be_undone_after_seven_days(module_clients):
    week_ago = module_clients.now() - timedelta(days=7, seconds=1)
    assert restore_window(module_clients, int(week_ago.timestamp() * 1000)) < timedelta(0)
    assert restore_window(module_clients, int(module_clients.now().timestamp() * 1000)) > timedelta(days=6, hours=23)


def test_an_unknown_action_dropped_nothing(module_clients):
    with pytest.raises(InvalidInput, match="dropped no table that can be restored"):
        UNDO_DROP.plan(module_clients, {"action_id": "no such action"})
