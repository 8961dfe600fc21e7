"""Streamlit's index page with our title, background and stylesheet, so that they apply before anything is rendered."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.aliases.edits import MAX_EDITS

APP_TITLE = "Prediction On-Call"
_DESCRIPTION = '<meta name="description" content="On-call dashboard of the NBA prediction platform: coverage, incidents and their repair.">'
# Where the server is: below the page's own address Streamlit's script would look it up first, and wait in vain for an answer.
# While a websocket is cut Streamlit disables every field: the one that was typed in gets the focus back, or the keys typed
# next would be taken for Streamlit's shortcuts.
# The keys of the help press the buttons that they stand for, in the page and while nothing is typed: Streamlit's own shortcuts take
# no brackets and no `r`. The search of “Go to…” has the focus as soon as it is there.
# A table or command that is wider than the screen can be moved by the arrow keys.
# A link to a page opens it by the browser's history, as Streamlit's own do, instead of loading everything anew. One of the sidebar
# that has the focus has it again when the list is drawn anew with the next page.
# Escape in a plan with typed text presses its own Cancel, which asks: Streamlit would close the dialog at once and ask its script after.
# Before it is loaded anew the browser asks, while something is typed in a dialog or pasted into a box.
# The lines of the alias box are counted as they are typed, as the page counts them when it gets them: neither empty nor a header.
_SCRIPT = r"""<script>window.__streamlit = { BACKEND_BASE_URL: location.origin }
addEventListener("click", event => {
  const link = event.target.closest(":is([data-testid=stMain], [data-testid=stSidebar]) a[href^='/']")
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
  event.preventDefault()
  history.pushState(null, "", link.href)
  dispatchEvent(new PopStateEvent("popstate"))
})
let pagePath
addEventListener("pointerdown", () => pagePath = null, true)
addEventListener("focusin", ({ target }) => pagePath = target.closest("nav.pages a")?.pathname)
new MutationObserver(() => {
  if (pagePath && document.activeElement === document.body) document.querySelector(`nav.pages a[href^="${pagePath}?"]`)?.focus()
}).observe(document, { childList: true, subtree: true })
addEventListener("keydown", event => {
  const fields = [...document.querySelectorAll(":is(.st-key-action-reason, .st-key-action-typed) input")]
  if (event.key !== "Escape" || !fields.some(field => field.value.trim())) return
  event.stopPropagation()
  const focused = document.activeElement
  focused.blur()
  document.querySelector(".st-key-action-cancel button")?.click()
  focused.focus()
}, true)
function countLines() {
  const box = document.querySelector(".st-key-pasted-aliases")
  if (!box) return
  const lines = box.querySelector("textarea").value.split(/[\n\r]/)
  const count = lines.filter(line => line.trim() && !/^\s*alias(_lookup)?\s*,\s*(nba_)?canonical(_lookup)?\s*$/i.test(line)).length
  box.dataset.lines = count ? `${count} of MAX_LINES lines` : ""
  box.toggleAttribute("data-over", count > MAX_LINES)
}
addEventListener("input", countLines)
const buttons = {
  "[": ".st-key-Previous-game-date", "]": ".st-key-Next-game-date", "?": ".st-key-help",
  r: "[data-testid=stMain] [class*=st-key-offer-run-start]"
}
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return
  if (event.target.closest("input, textarea, select, canvas, [contenteditable=true], [role=dialog], [role=grid], [role=listbox]")) return
  const button = document.querySelector(`${buttons[event.key] ?? "#none"} button:not(:disabled)`)
  if (!button || document.querySelector("[role=dialog][aria-modal=true], [data-testid=stDialog]")) return
  event.preventDefault()
  event.stopImmediatePropagation()
  button.click()
}, true)
function focusSearch(until = performance.now() + 4000) {
  const search = document.querySelector("[role=dialog] .st-key-target input")
  if (search) search.focus()
  else if (performance.now() < until) requestAnimationFrame(() => focusSearch(until))
}
addEventListener("keydown", event => { if ((event.ctrlKey || event.metaKey) && event.key === "k") focusSearch() }, true)
addEventListener("click", ({ target }) => { if (target.closest(".st-key-go-to")) focusSearch() }, true)
setInterval(() => {
  for (const box of document.querySelectorAll("[data-testid=stTable] > div, [data-testid=stMain] pre"))
    box.toggleAttribute("tabindex", box.scrollWidth > box.clientWidth) && (box.tabIndex = 0)
  countLines()
}, 1000)
addEventListener("beforeunload", event => {
  const fields = document.querySelectorAll("[role=dialog] :is(input[type=text], textarea), [data-testid=stMain] textarea")
  if ([...fields].some(field => field.value.trim())) event.preventDefault()
})
let field
addEventListener("focusin", ({ target }) => {
  if (target.matches("input[type=text], textarea")) field = target
  else if (!field?.disabled) field = null
})
new MutationObserver(records => {
  if (!records.some(({ target }) => target === field) || field.disabled) return
  field.focus()
  field.setSelectionRange(field.value.length, field.value.length)
}).observe(document, { attributeFilter: ["disabled"], subtree: true })</script>""".replace("MAX_LINES", str(MAX_EDITS))
TABLE_LINE_PX, MAX_TABLE_ROWS = 29, 24  # of text tables, which are short
STYLESHEET = Path(__file__).with_name("style.css")  # what the theme cannot express


class IndexPageMiddleware:
    """ASGI middleware: replaces the response of `app` wherever it is Streamlit's index page."""

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self._app, self._page = app, render_index((folder / "index.html").read_text(encoding="utf-8")).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = False

        async def replace_body(message: Message) -> None:
            nonlocal is_page
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                is_page = message["status"] == 200 and headers.get("content-type", "").startswith("text/html")
                if is_page:
                    headers["content-length"] = str(len(self._page))
                    for header in ("etag", "last-modified", "content-encoding"):
                        del headers[header]
            elif is_page and message.get("more_body"):
                return
            elif is_page and message["type"] == "http.response.body":
                message = {**message, "body": b"" if scope["method"] == "HEAD" else self._page}
            await send(message)

        await self._app(scope, receive, replace_body if scope["type"] == "http" else send)


def render_index(page: str) -> str:
    """Streamlit's index page with our title, dark from the first paint where the browser prefers dark, and with our stylesheet."""
    style_tag = f"<style>{_background_css()}{_table_css()}{STYLESHEET.read_text(encoding='utf-8')}</style>"
    titled = page.replace("<title>Streamlit</title>", f"<title>{APP_TITLE}</title>{_DESCRIPTION}").replace(
        "<head>", f"<head>{_SCRIPT}", 1
    )
    return titled.replace("</head>", f"{style_tag}</head>")


def _table_css() -> str:
    """A text table's room while its script is still on its way: a line each for its rows and its head."""
    return "\n".join(
        f'[class*="st-key-rows-{rows}-"]:has([data-testid="stSkeleton"]) {{ min-height: {(rows + 1) * TABLE_LINE_PX}px; }}'
        for rows in range(1, MAX_TABLE_ROWS + 1)
    )


def _background_css() -> str:
    light, dark = (st.get_option(f"theme.{kind}.backgroundColor") for kind in ("light", "dark"))
    return f"html {{ background: {light} }} @media (prefers-color-scheme: dark) {{ html {{ background: {dark} }} }}\n"
