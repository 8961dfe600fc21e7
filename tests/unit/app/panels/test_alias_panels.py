"""What is shown of lines of aliases before they are saved."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import streamlit as st

from app.panels import alias_panels
from services.aliases.edits import Edit, EditKind


def test_a_pasted_name_formats_nothing_in_what_is_said_about_it(monkeypatch):
    captions: list[str] = []
    monkeypatch.setattr(st, "caption", captions.append)
    monkeypatch.setattr(st, "error", lambda *_, **__: None)
    monkeypatch.setattr(
        alias_panels, "_validation_errors", lambda *_: [SimpleNamespace(alias="", canonical="", message="")]
    )
    name = "[x](http://evil.example)"
    registry: Any = SimpleNamespace(active={"y": (name,)})
    alias_panels._save_lines_button(registry, {1: Edit(EditKind.ADD, name, "y")})
    assert "y → " in captions[0]
    assert "[x]" not in captions[0]
    assert "://" not in captions[0]
