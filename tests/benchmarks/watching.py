"""A page in Chromium with a stop-watch in it: when its answer stood, when all of it stood, what came over the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

WATCH = """
(() => {
  const seen = window.__seen = {from: 0, before: null, path: null, verdict: null, full: null, settled: false};
  const all = name => [...document.querySelectorAll(`[data-testid=${name}]`)]
    .filter(each => each.checkVisibility());
  const open = () => ({
    script: all('stApp').filter(each => each.dataset.testScriptState !== 'notRunning').length,
    skeletons: ['stSkeleton', 'stAppSkeleton', 'stStatusWidget'].flatMap(all).length,
    stale: document.querySelectorAll('[data-stale=true]').length,
    charts: all('stPlotlyChart').filter(each => !each.querySelector('.main-svg')).length,
    grids: all('stDataFrame').filter(each => ![...each.querySelectorAll('canvas')].some(one => one.width > 0)).length,
  });
  const complete = () => document.querySelector('[data-testid=stApp]') && Object.values(open()).every(count => !count);
  window.__why = () => JSON.stringify([seen, open()]);
  const look = () => {
    const now = performance.now();
    if (!seen.settled) {
      const head = document.querySelector('[data-testid=stMain] h2');
      const words = head && head.getBoundingClientRect().height ? head.textContent.trim() : '';
      const here = !seen.path || location.pathname.endsWith(seen.path);
      if (seen.verdict === null && words && here && words !== seen.before) seen.verdict = now;
      if (seen.verdict === null || !complete()) seen.full = null;
      else if (seen.full === null) seen.full = now;
      else if (now - seen.full > 400) seen.settled = true;
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  window.__click = href => {
    const link = [...document.querySelectorAll('[data-testid=stSidebarNav] a')]
      .find(each => new URL(each.href).pathname === href);
    const head = document.querySelector('[data-testid=stMain] h2');
    Object.assign(seen, {from: performance.now(), before: head ? head.textContent.trim() : '', path: href,
                         verdict: null, full: null, settled: false});
    link.click();
  };
})();
"""
PATIENCE_MS = 60_000


@dataclass(frozen=True)
class Seen:
    """Milliseconds to the answer and to the full page; bytes over HTTP, and those of the socket before compression."""

    verdict_ms: float
    full_ms: float
    wire: int = 0
    socket: int = 0


def open_page(context: Any, address: str) -> tuple[Any, Seen]:
    """Open an address in a new tab and wait until all of it stands."""
    page = context.new_page()
    counted = _count(context, page)
    page.add_init_script(WATCH)
    page.goto(address, wait_until="commit")
    seen = _settled(page)
    return page, Seen(seen.verdict_ms, seen.full_ms, counted["wire"], counted["socket"])


def click(page: Any, path: str) -> Seen:
    """Click a page in the sidebar and wait until all of it stands."""
    page.wait_for_function(
        "path => [...document.querySelectorAll('[data-testid=stSidebarNav] a')].some(a => new URL(a.href).pathname === path)",
        arg=path,
        timeout=PATIENCE_MS,
    )
    page.evaluate("path => window.__click(path)", path)
    return _settled(page)


def _settled(page: Any) -> Seen:
    from playwright.sync_api import TimeoutError as Late

    try:
        page.wait_for_function("() => window.__seen && window.__seen.settled", timeout=PATIENCE_MS, polling=100)
    except Late:
        raise RuntimeError(f"{page.url} never stood still: {page.evaluate('window.__why()')}") from None
    seen = page.evaluate("window.__seen")
    return Seen(seen["verdict"] - seen["from"], seen["full"] - seen["from"])


def _count(context: Any, page: Any) -> dict[str, int]:
    counted = {"wire": 0, "socket": 0}
    protocol = context.new_cdp_session(page)
    protocol.send("Network.enable")

    def arrived(event: dict[str, Any]) -> None:
        counted["wire"] += int(event["encodedDataLength"])

    def told(event: dict[str, Any]) -> None:
        counted["socket"] += len(event["response"]["payloadData"]) * 3 // 4

    protocol.on("Network.loadingFinished", arrived)
    protocol.on("Network.webSocketFrameReceived", told)
    return counted
