"""The handoff note on its page and as a download."""

from __future__ import annotations

import re


def test_the_handoff_note_is_shown_and_can_be_downloaded(open_page):
    screen = open_page("shift_handoff")
    assert "90 of 158 players are missing" in screen.verdict
    assert "generated from 11 of 11 sources" in screen.text
    assert "critical: 90 of 158 players are missing" in screen.text.replace("*", "")
    assert "68 of 158" in screen.text
    heads = re.findall(r"^(#+) ", screen.text.partition("On-call handoff")[2], re.MULTILINE)
    assert set(heads) == {"####"}, "below the note's own title, h3"
    assert "](http" not in screen.text, "a link in the preview stays in this tab"
    assert [button.label for button in screen.app.get("download_button")] == ["Download Markdown", "Download incident"]
