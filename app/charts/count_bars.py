"""Counted groups as bars, one for each value of the first thing counted by, split by the second; drawn without a script."""

from __future__ import annotations

from html import escape

from app.charts import palette
from app.charts.bar_rows import Row, render_rows
from services.core.text import to_printable
from services.explore.counts import Counts, show_value

MAX_BARS = 31
_COLORS = (palette.BLUE, palette.AMBER, palette.GREEN, palette.VIOLET, "#2b8387", "#9a5878")
OTHERS = "others"


def to_html(counts: Counts) -> str:
    """The bars of counts with at least one group, the first MAX_BARS of them, over a key of the colours."""
    column, noun = next(iter(counts.look.subject.measures.items()))
    series = _series(counts, column)
    bars: dict[str, dict[str, int]] = {}
    for group in counts.groups:
        first, *rest = [_label(name, group.values[name]) for name in counts.look.by]
        part = rest[0] if rest and rest[0] in series else OTHERS if rest else noun
        bar = bars.setdefault(first, {})
        bar[part] = bar.get(part, 0) + group.measures[column]
    colors = {name: _COLORS[n] if n < len(_COLORS) else palette.GREY for n, name in enumerate([*series, OTHERS])}
    colors[noun] = colors.get(noun, palette.BLUE)
    rows = [
        Row(
            name,
            [(parts[part], colors[part], escape(part)) for part in colors if part in parts],
            f"<b>{sum(parts.values()):,}</b>",
        )
        for name, parts in list(bars.items())[:MAX_BARS]
    ]
    used = [part for part in colors if any(part in parts for parts in bars.values())]
    key = "".join(f'<span><i style="background:{colors[part]}"></i>{escape(part)}</span>' for part in used)
    more = f"<p>The first {MAX_BARS} of {len(bars):,}; the table has all.</p>" if len(bars) > MAX_BARS else ""
    widest = max(1, *(row.total for row in rows))
    return f'<div class="counted"><div class="key">{key}</div>{render_rows(rows, widest)}{more}</div>'


def _series(counts: Counts, column: str) -> list[str]:
    """The largest values of the second thing counted by, as many as there are colours."""
    if len(counts.look.by) < 2:
        return []
    totals: dict[str, int] = {}
    for group in counts.groups:
        label = _label(counts.look.by[1], group.values[counts.look.by[1]])
        totals[label] = totals.get(label, 0) + group.measures[column]
    return sorted(totals, key=lambda name: (-totals[name], name))[: len(_COLORS)]


def _label(dimension: str, value: object) -> str:
    text = f"{value:%a %-d %b}" if dimension == "date" else str(show_value(dimension, value))
    return to_printable(text)
