"""The two people of most tests: an operator and a viewer."""

from __future__ import annotations

from services.auth.roles import Actor, Role

OPERATOR = Actor("nora", Role.OPERATOR)
VIEWER = Actor("vic", Role.VIEWER)
