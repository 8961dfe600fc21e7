"""What the stop-watch of page_timer.py needs besides: when a page is quiet, and what the answer of a peer's page is.

Quiet: no request is under way, and neither the document nor the layout changed since the last frame. A page is full at the first of 400 ms
of quiet after its answer stands. The dashboard's pages are held to that too, beside Streamlit's own signs of work.
"""

from __future__ import annotations

import json

QUIET_SCRIPT = """
(() => {
  let pending = 0, changed = true;
  const note = () => { changed = true; };
  const ended = () => { pending -= 1; note(); };
  const fetch = window.fetch;
  window.fetch = (...request) => { pending += 1; return fetch(...request).finally(ended); };
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (...body) {
    pending += 1;
    this.addEventListener('loadend', ended);
    return send.apply(this, body);
  };
  for (const type of ['resource', 'layout-shift']) new PerformanceObserver(note).observe({type, buffered: true});
  new MutationObserver(note).observe(document, {subtree: true, childList: true, characterData: true});
  window.__site = {isQuiet: () => { const quiet = !pending && !changed; changed = false; return quiet; }};
})();
"""


def site_script(path: str, rows: str, min_rows: int) -> str:
    """For a peer: its page at `path` is answered when `min_rows` elements that `rows` selects are visible, another one by a link to it."""
    links = f"a[href='{path}']"
    return QUIET_SCRIPT + (
        f"const links = {json.dumps(links)};"
        " const visible = name => [...document.querySelectorAll(name)].filter(each => each.checkVisibility()).length;"
        f" Object.assign(window.__site, {{root: 'body', links, answer: () => location.pathname !== {json.dumps(path)}"
        f" ? (visible(links) ? 'link' : '') : (visible({json.dumps(rows)}) >= {min_rows} ? 'nights' : '')}});"
    )
