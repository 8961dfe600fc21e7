"""Our pages beside each peer: medians, ratios, and in how many places we are ahead. A peer that was not measured is counted nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from tests.tools.benchmarks.pages import PageMeasurements

VISITS = ("cold", "second", "click")


def ratio(ours: PageMeasurements, peer: PageMeasurements, visit: str) -> float:
    """Our time to the full page by the peer's; below 1 we are ahead."""
    return ours.median_ms(visit, "full_ms") / peer.median_ms(visit, "full_ms")


def format_times(measurements: Mapping[str, PageMeasurements]) -> str:
    """The medians, in ms; an answer is the first list of nights, or the dashboard's headline."""
    lines = [
        f"{'ms, medians':26}" + "".join(f"{f'—— {visit} ——':>20}" for visit in VISITS) + f"{'cold':>10}",
        f"{'':26}" + f"{'answer':>10}{'full':>10}" * len(VISITS) + f"{'MB':>10}",
    ]
    for name, measured in measurements.items():
        pairs = ((measured.median_ms(visit, "verdict_ms"), measured.median_ms(visit, "full_ms")) for visit in VISITS)
        times = "".join(f"{ms:10,.0f}" for ms in chain.from_iterable(pairs))
        lines.append(f"{name:26}{times}{measured.wire_mb:10.2f}")
    return "\n".join(lines)


def format_ratios(
    measurements: Mapping[str, PageMeasurements], peers: Sequence[str], skipped: Mapping[str, str]
) -> str:
    """Each of our pages ÷ each peer, with the places in which we are ahead; the skipped peers with their reasons."""
    ours = {name: measured for name, measured in measurements.items() if name not in peers}
    lines = [
        f"{'full, ours ÷ peer':26}" + "".join(f"{peer:>24}" for peer in peers),
        f"{'':26}" + "".join(f"{visit:>8}" for visit in VISITS) * len(peers),
    ]
    ahead = {(peer, visit): 0 for peer in peers for visit in VISITS}
    for name, measured in ours.items():
        ratios = {(peer, visit): ratio(measured, measurements[peer], visit) for peer, visit in ahead}
        lines.append(f"{name:26}" + "".join(f"{value:8.2f}" for value in ratios.values()))
        for place, value in ratios.items():
            ahead[place] += value < 1
    lines.append(f"{'ahead on':26}" + "".join(f"{f'{count}/{len(ours)}':>8}" for count in ahead.values()))
    lines += [f"{peer} was skipped and is counted nowhere: {reason}" for peer, reason in skipped.items()]
    return "\n".join(lines)
