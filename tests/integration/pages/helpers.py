"""What a rendered page shows, and the nights that the page tests open."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

from streamlit.testing.v1 import AppTest

from tests.support.paths import ROOT

MAIN = ROOT / "app" / "main.py"
PAGES = ("overview", "coverage", "missing_players", "dml_errors", "staging_tables", "worker_capacity", "player_names")
GOOD_NIGHT, INCIDENT, NO_GAMES = "2025-12-26", "2025-12-29", "2025-12-24"


COLORS = {"grn": ":green", "red": ":red", "amb": ":orange", "vio": ":violet", "acc": ":blue", "mute": ":gray"}


def to_text(html_body: str) -> str:
    """The text of HTML, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html_body)).split())


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
        parts += [to_text(html_body) for html_body in self.html_bodies]
        return "\n".join(parts).replace("\\", "")

    @property
    def html_bodies(self) -> list[str]:
        """The charts written as HTML."""
        return [element.proto.body for element in self.app.get("html")]

    @property
    def verdict(self) -> str:
        """The headline of the page with its icon; a head of our own HTML as a whole, its state before it."""
        headlines = [element.value for element in self.app.markdown if element.value.startswith("## ")]
        headlines += [
            f"{COLORS[state]}: {to_text(html_body)}"
            for html_body in self.html_bodies
            for state in re.findall(r'<span class="badge (\w+)"', html_body)[:1]
        ]
        return next(iter(headlines), "").replace("\\", "")

    def figure_of(self, label: str) -> tuple[str, str]:
        """A figure of the overview: its value with its unit, and the text below."""
        tiles = re.findall(r'<li class="tile">.*?</li>', "".join(self.html_bodies))
        tile = next(tile for tile in tiles if f">{label}</a>" in tile)
        value, detail = (
            re.findall(r'<b class="\w*">(.*?)</b>', tile)[0],
            re.findall(r'<div class="d">(.*?)</div>', tile)[0],
        )
        return to_text(value), unescape(detail)

    @property
    def warnings(self) -> str:
        return " ".join(element.value for element in self.app.warning)

    def metric_of(self, label: str) -> tuple[str, str]:
        """A figure's value and the text beside it."""
        metric = next(m for m in self.app.metric if m.label == label or m.label.startswith(f"[{label}]("))
        return metric.value, metric.proto.delta_description

    def table(self, index: int = 0) -> list[dict[str, Any]]:
        rows: list[Any] = self.app.dataframe[index].value.to_dict("records")
        return rows

    @property
    def losses(self) -> list[dict[str, str]]:
        """The rows of the missing players' tables, each with the reason above its table."""
        rows = []
        for body in (body for body in self.html_bodies if 'class="losses"' in body):
            reason = to_text(re.findall(r"<h3>(.*?)</h3>", body)[0]).partition(": ")[2]
            about = to_text(re.findall(r"<p>(.*?)</p>", body)[0])
            heads = [to_text(head) for head in re.findall(r"<th.*?</th>", body)]
            for row in re.findall(r"<tr>(<td.*?)</tr>", body):
                cells = [to_text(cell) for cell in re.findall(r"<td.*?</td>", row)]
                rows.append({**dict(zip(heads, cells, strict=True)), "reason": reason, "about": about})
        return rows

    @property
    def links(self) -> dict[str, str]:
        """The links in its texts and pictures: text → address."""
        texts = [element.value for element in (*self.app.markdown, *self.app.caption)]
        texts += [metric.label for metric in self.app.metric]
        links = re.findall(r"\[([^][]+)\]\((/[^)]*)\)", "\n".join(texts))
        links += [
            (text, unescape(href))
            for href, text in re.findall(r'<a href="(/[^"]*)">([^<]*)</a>', "".join(self.html_bodies))
        ]
        return {text.strip("*").rpartition(":material/article: ")[2]: href for text, href in links}

    def health_badges(self) -> dict[str, str]:
        """The overview's rows: name → the badge before it."""
        texts = "\n".join(str(element.value) for element in self.app.markdown)
        return {
            name: badge for badge, name in re.findall(r"^(:\w+-badge\[.*?\]) \[\*\*(.*?)\*\*\]\(", texts, re.MULTILINE)
        }
