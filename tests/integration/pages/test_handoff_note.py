"""The handoff note on its page and as a download."""

from __future__ import annotations


def test_the_handoff_note_is_shown_and_can_be_downloaded(open_page):
    screen = open_page("handoff_note")
    assert "Written from 8 records" in screen.verdict
    assert "68 of 158" in screen.text
    assert [button.label for button in screen.app.get("download_button")] == ["Download the note"]
