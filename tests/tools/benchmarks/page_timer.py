"""A page in Chromium with a stop-watch in it: when its answer stood, when all of it stood, what came over the wire.

The stop-watch knows Streamlit's pages; a page of another product says with `window.__site` what its root, answer and links are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TIMER_SCRIPT = """
(() => {
  const seen = window.__seen = {from: 0, before: null, path: null, night: null, verdict: null, full: null, settled: false};
  const site = () => ({
    root: '[data-testid=stApp]', links: '[data-testid=stSidebar] a', isQuiet: () => true, answer: () => {
      const head = document.querySelector('[data-testid=stMain] h2');
      return head && head.getBoundingClientRect().height ? head.textContent.trim() : '';
    }, ...window.__site,
  });
  const all = name => [...document.querySelectorAll(`[data-testid=${name}]`)]
    .filter(each => each.checkVisibility());
  const open = () => ({
    script: all('stApp').filter(each => each.dataset.testScriptState !== 'notRunning').length,
    skeletons: ['stSkeleton', 'stAppSkeleton', 'stStatusWidget'].flatMap(all).length,
    stale: document.querySelectorAll('[data-stale=true]').length,
    charts: all('stPlotlyChart').filter(each => !each.querySelector('.main-svg')).length,
    grids: all('stDataFrame').filter(each => ![...each.querySelectorAll('canvas')].some(one => one.width > 0)).length,
  });
  const complete = () => site().isQuiet() && document.querySelector(site().root) && Object.values(open()).every(count => !count);
  window.__why = () => JSON.stringify([seen, open()]);
  const title = () => document.querySelector('.st-key-date .day')?.textContent;
  const isAnswered = () => !document.querySelector('[data-testid=stMain]').textContent.includes('is slow to respond');
  const look = () => {
    const now = performance.now();
    if (!seen.settled) {
      const head = document.querySelector('[data-testid=stMain] h2');
      const words = site().answer();
      const here = !seen.path || location.pathname.endsWith(seen.path);
      const turned = !seen.night || (title() !== seen.night && !head?.closest('[data-stale=true]') && isAnswered());
      if (seen.verdict === null && words && here && turned && words !== seen.before) seen.verdict = now;
      if (seen.verdict === null || !complete()) seen.full = null;
      else if (seen.full === null) seen.full = now;
      else if (now - seen.full > 400) seen.settled = true;
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  window.__link = href => [...document.querySelectorAll(site().links)].find(each => new URL(each.href).pathname === href);
  window.__click = href => {
    Object.assign(seen, {from: performance.now(), before: site().answer(), path: href, night: null,
                         verdict: null, full: null, settled: false});
    window.__link(href).click();
  };
  window.__turn = () => {
    Object.assign(seen, {from: performance.now(), before: null, path: null, night: title(),
                         verdict: null, full: null, settled: false});
    document.querySelector('.st-key-Previous-game-date button').click();
  };
})();
"""
PAGE_TIMEOUT_MS = 60_000


@dataclass(frozen=True)
class PageTiming:
    """Milliseconds to the answer and to the full page; bytes over HTTP, and those of the socket before compression."""

    verdict_ms: float
    full_ms: float
    wire: int = 0
    socket: int = 0


def open_page(context: Any, address: str) -> tuple[Any, PageTiming]:
    """Open an address in a new tab and wait until all of it stands."""
    page = context.new_page()
    byte_counts = _count_bytes(context, page)
    page.add_init_script(TIMER_SCRIPT)
    page.goto(address, wait_until="commit")
    timing = _wait_settled(page)
    return page, PageTiming(timing.verdict_ms, timing.full_ms, byte_counts["wire"], byte_counts["socket"])


def click(page: Any, path: str) -> PageTiming:
    """Click a page in the sidebar and wait until all of it stands."""
    page.wait_for_function("path => window.__link(path)", arg=path, timeout=PAGE_TIMEOUT_MS)
    page.evaluate("path => window.__click(path)", path)
    return _wait_settled(page)


def turn_to_night_before(page: Any) -> PageTiming:
    """Click the chevron to the night before and wait until all of that night stands."""
    page.locator(".st-key-Previous-game-date button:enabled").first.wait_for(timeout=PAGE_TIMEOUT_MS)
    page.evaluate("window.__turn()")
    return _wait_settled(page)


def _wait_settled(page: Any) -> PageTiming:
    from playwright.sync_api import TimeoutError as Late

    try:
        page.wait_for_function("() => window.__seen && window.__seen.settled", timeout=PAGE_TIMEOUT_MS, polling=100)
    except Late:
        raise RuntimeError(f"{page.url} never stood still: {page.evaluate('window.__why()')}") from None
    timing = page.evaluate("window.__seen")
    return PageTiming(timing["verdict"] - timing["from"], timing["full"] - timing["from"])


def _count_bytes(context: Any, page: Any) -> dict[str, int]:
    byte_counts = {"wire": 0, "socket": 0}
    protocol = context.new_cdp_session(page)
    protocol.send("Network.enable")

    def on_loading_finished(event: dict[str, Any]) -> None:
        byte_counts["wire"] += int(event["encodedDataLength"])

    def on_websocket_frame(event: dict[str, Any]) -> None:
        byte_counts["socket"] += len(event["response"]["payloadData"]) * 3 // 4

    protocol.on("Network.loadingFinished", on_loading_finished)
    protocol.on("Network.webSocketFrameReceived", on_websocket_frame)
    return byte_counts
