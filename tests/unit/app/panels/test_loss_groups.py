"""Missing players in groups: what they share is said once, and every row leads to its player."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from app.panels import loss_groups
from app.state import session
from services.nights.missing_players import list_missing_players
from tests.support.factories import make_night, make_write_error, player_without_rows

ERROR = make_write_error(reason="DML queue full (2 running + 20 queued)")


@pytest.fixture(autouse=True)
def chosen_date(monkeypatch):
    monkeypatch.setattr(session, "link_params", lambda: {"date": "2025-12-29"})


def test_a_reason_that_ninety_players_share_is_said_once_and_each_row_leads_to_its_player():
    players = [
        player_without_rows(
            player_lookup=f"lost{n}",
            player_name=f"Lost <{n}>",
            write_error=replace(ERROR, at=ERROR.at + timedelta(seconds=n)),
        )
        for n in range(90)
    ]
    page = loss_groups.to_html(list_missing_players(make_night(*players)))
    assert page.count("DML queue full") == 1
    assert "<h3>90 players: write rejected</h3><p>Dropped at: written · DML queue full" in page
    assert page.count("14:47:51 ET") == 1
    assert len(set(re.findall(r'href="/player\?date=2025-12-29&amp;player=(lost\d+)"', page))) == 90
    assert "Lost <0>" not in page


@pytest.mark.parametrize(
    ("evidence", "common", "own"),
    [
        (["OUT", "OUT"], "OUT", ["", ""]),
        (["1 · full", "2 · full"], "full", ["1", "2"]),
        (["1 · full", "2 · other"], "", ["1 · full", "2 · other"]),
        (["1 · full"], "", ["1 · full"]),
        (["a", "b"], "", ["a", "b"]),
    ],
)
def test_only_what_every_row_has_is_common(evidence, common, own):
    assert loss_groups.split_evidence(evidence) == (common, own)
