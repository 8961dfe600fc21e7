"""What stands on a page of the desk, and the nights the tests open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

MAIN = Path(__file__).parents[2] / "app" / "main.py"
PAGES = ("overview", "coverage", "missing_players", "dml_errors", "staging_tables", "concurrency", "aliases")
GOOD_NIGHT, INCIDENT, NO_GAMES = "2025-12-26", "2025-12-29", "2025-12-24"


@dataclass
class Screen:
    """One page as it was drawn."""

    app: AppTest

    @property
    def words(self) -> str:
        """Everything written on the page, without Markdown's escapes."""
        page = self.app
        texts: list[str] = [
            str(each.value)
            for kind in ("markdown", "caption", "subheader", "warning", "error")
            for each in page.get(kind)
        ]
        texts += [f"{metric.label}: {metric.value} {metric.proto.delta_description}" for metric in page.metric]
        texts += [link.value for link in page.page_link]
        texts += [table.value.to_string() for table in (*page.table, *page.dataframe)]
        texts += [expander.label for expander in page.expander]
        return "\n".join(texts).replace("\\", "")

    @property
    def pictures(self) -> list[str]:
        """The pictures drawn as HTML."""
        return [each.proto.body for each in self.app.get("html")]

    @property
    def verdict(self) -> str:
        """The page's one line."""
        return next((each.value for each in self.app.markdown if each.value.startswith("## ")), "").replace("\\", "")

    @property
    def notice(self) -> str:
        return " ".join(each.value for each in self.app.warning)

    def figure(self, label: str) -> tuple[str, str]:
        """A figure's value and the words beside it."""
        metric = next(metric for metric in self.app.metric if metric.label == label)
        return metric.value, metric.proto.delta_description

    def table(self, index: int = 0) -> list[dict[str, Any]]:
        return list(self.app.dataframe[index].value.to_dict("records"))

    def signals(self) -> dict[str, str]:
        """The overview's rows: name → the badge before it."""
        badges = [each.value for each in self.app.markdown if "-badge[" in each.value]
        names = [link.value.strip("*") for link in self.app.page_link if link.value.startswith("**")]
        return dict(zip(names, badges, strict=True))
