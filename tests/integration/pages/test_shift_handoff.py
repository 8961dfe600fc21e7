"""The handoff note on its page and as a download."""

from __future__ import annotations


def test_the_handoff_note_is_shown_and_can_be_downloaded(open_page):
    screen = open_page("shift_handoff")
    assert "90 of 158 players are missing" in screen.verdict
    assert "written from 11 of 11 records" in screen.text
    assert "critical: 90 of 158 players are missing" in screen.text.replace("*", "")
    assert "68 of 158" in screen.text
    assert [button.label for button in screen.app.get("download_button")] == ["Download the note"]
