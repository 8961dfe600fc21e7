"""What a rendered page shows, and the nights that the page tests open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streamlit.testing.v1 import AppTest

from tests.support.paths import ROOT

MAIN = ROOT / "app" / "main.py"
PAGES = ("overview", "coverage", "missing_players", "dml_errors", "staging_tables", "concurrency", "aliases")
GOOD_NIGHT, INCIDENT, NO_GAMES = "2025-12-26", "2025-12-29", "2025-12-24"


@dataclass
class RenderedPage:
    """One page after a run."""

    app: AppTest

    @property
    def text(self) -> str:
        """Everything written on the page, without Markdown's escapes."""
        page = self.app
        parts: list[str] = [
            str(element.value)  # type: ignore[union-attr]  # these kinds are elements, never blocks
            for kind in ("markdown", "caption", "subheader", "warning", "error")
            for element in page.get(kind)
        ]
        parts += [f"{metric.label}: {metric.value} {metric.proto.delta_description}" for metric in page.metric]
        parts += [link.value for link in page.page_link]
        parts += [table.value.to_string() for table in (*page.table, *page.dataframe)]
        parts += [expander.label for expander in page.expander]
        return "\n".join(parts).replace("\\", "")

    @property
    def html_bodies(self) -> list[str]:
        """The charts written as HTML."""
        return [element.proto.body for element in self.app.get("html")]

    @property
    def verdict(self) -> str:
        """The headline of the page."""
        return next((element.value for element in self.app.markdown if element.value.startswith("## ")), "").replace(
            "\\", ""
        )

    @property
    def warnings(self) -> str:
        return " ".join(element.value for element in self.app.warning)

    def metric_of(self, label: str) -> tuple[str, str]:
        """A figure's value and the text beside it."""
        metric = next(metric for metric in self.app.metric if metric.label == label)
        return metric.value, metric.proto.delta_description

    def table(self, index: int = 0) -> list[dict[str, Any]]:
        rows: list[Any] = self.app.dataframe[index].value.to_dict("records")
        return rows

    def health_badges(self) -> dict[str, str]:
        """The overview's rows: name → the badge before it."""
        badges = [element.value for element in self.app.markdown if "-badge[" in element.value]
        names = [link.value.strip("*") for link in self.app.page_link if link.value.startswith("**")]
        return dict(zip(names, badges, strict=True))
