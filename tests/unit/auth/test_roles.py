"""A viewer sees, an operator also acts."""

from __future__ import annotations

import pytest

from services.auth.roles import Actor, InsufficientRole, Role, has_role, require_role


@pytest.mark.parametrize("role", Role)
def test_each_role_has_itself_and_the_lesser_ones(role):
    actor = Actor("nora", role)
    assert has_role(actor, role)
    assert has_role(actor, Role.VIEWER)
    assert has_role(actor, Role.OPERATOR) is (role is Role.OPERATOR)


def test_an_action_beyond_the_role_is_refused_with_who_what_and_which_role():
    require_role(Actor("nora", Role.OPERATOR), Role.OPERATOR, "Re-run")
    with pytest.raises(InsufficientRole, match="vic is a viewer; Re-run needs an operator") as refused:
        require_role(Actor("vic", Role.VIEWER), Role.OPERATOR, "Re-run")
    assert refused.value.hint == "Ask an operator to do it."
