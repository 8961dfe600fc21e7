"""The plans that were shown at this terminal, kept for a day: --apply carries out the very plan that its hash names."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.actions.plan import Plan, PlanNotReadable, plan_from_json, plan_to_json
from services.core.settings import Settings

KEPT_S = 86_400
HASH_PATTERN = re.compile(r"[0-9a-f]{20}")


class ShownPlans:
    """Plans in a folder of the person's own, which nobody else reads. Losing it does no harm: a plan is made again."""

    def __init__(self, settings: Settings, folder: Path | None = None) -> None:
        self._place = f"{settings.project} {settings.sandbox_url}"
        self._folder = folder or _state_folder()

    def keep(self, plan: Plan, typed: Mapping[str, Any]) -> None:
        """Keep a plan with what was typed for it, and remove those that are older than a day."""
        text = json.dumps({"place": self._place, "typed": _to_text(typed), "plan": plan_to_json(plan)})
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in self._folder.glob("*.json"):
                if time.time() - path.stat().st_mtime > KEPT_S:
                    path.unlink()
            path = self._folder / f"{plan.hash}.json"
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(text)
        except OSError:
            return  # without it --apply compares the hash with a new plan's

    def find(self, plan_hash: str, typed: Mapping[str, Any]) -> Plan | None:
        """The plan of that hash that was shown here for the same words; None when there is none, or not of this project."""
        if not HASH_PATTERN.fullmatch(plan_hash):
            return None
        try:
            kept = json.loads((self._folder / f"{plan_hash}.json").read_text())
            plan = plan_from_json(kept["plan"])
        except (OSError, ValueError, KeyError, TypeError, PlanNotReadable):
            return None
        same = (kept["place"], kept["typed"]) == (self._place, _to_text(typed))
        return plan if same and plan.hash == plan_hash else None


def _state_folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "prediction-on-call" / "plans"


def _to_text(typed: Mapping[str, Any]) -> str:
    return json.dumps(typed, sort_keys=True, default=str)
