"""Test action registry: moved here by the new layout."""

from __future__ import annotations

from services.action_registry import ACTION_TYPES
from services.auth.roles import Role


def test_every_action_requires_more_than_a_viewer():
    assert {name for name, action_type in ACTION_TYPES.items() if action_type.required_role is Role.VIEWER} == set()
