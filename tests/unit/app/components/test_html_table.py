"""A table as HTML: every cell is escaped, links lead to our pages, a state is said in words."""

from __future__ import annotations

from app.components.html_table import Column, Link, Mark, table_html
from services.core.result import Health

COLUMNS = (Column("Batch"), Column("Rows", numeric=True, minor=True))


def test_every_cell_is_text_and_nothing_else():
    html = table_html(COLUMNS, [("<script>alert(1)</script>", "a\u202eb")], alt='"><img>')
    assert "<script" not in html
    assert "<img" not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;" in html


def test_a_link_leads_to_a_page_with_its_parameters_escaped():
    html = table_html(COLUMNS, [(Link("b<1", "runs", {"batch": 'a&b"'}), 1)], alt="Batches")
    assert '<a href="/runs?batch=a%26b%22">b&lt;1</a>' in html
    assert '<a href="/?date=2025-12-29">' in table_html(
        COLUMNS, [(Link("o", "overview", {"date": "2025-12-29"}), 1)], ""
    )


def test_numbers_have_separators_and_what_is_missing_has_a_dash():
    html = table_html(COLUMNS, [("", 2250), (None, 0)], alt="Batches")
    assert '<td class="numeric minor">2,250</td>' in html
    assert '<td class="numeric minor">0</td>' in html
    assert html.count('<td class="">—</td>') == 2


def test_a_state_is_an_icon_and_words():
    html = table_html(COLUMNS, [(Mark("write rejected", Health.CRITICAL), Mark("ok", Health.OK))], alt="Players")
    assert '<span class="sr">critical: </span>write rejected' in html
    assert html.count('class="sr"') == 1, "the word is its health"
    assert "progress_activity" in table_html(COLUMNS, [(Mark("running", None), 1)], alt="Players")
