"""Pipeline: which step before or after the predictions is missing, short or late on this date, who owns it, and what does it again."""

from __future__ import annotations

import streamlit as st

from app.components import widgets
from app.panels import pipeline_steps
from app.state import reads, session
from services.phases.reader import NightPhases
from services.reports.pipeline import build_pipeline

STEP_PARAM = "step"  # the name in the URL: ?step=…
cloud, game_date = session.cached_clients(), session.game_date()
wait_for_steps = reads.phases.fetch_async(cloud, game_date)
facts, judgement = reads.judgement(cloud, game_date)
reading = wait_for_steps()


def render(phases: NightPhases) -> None:
    """The worst first, the steps in their order, and one of them in detail."""
    pipeline = build_pipeline(phases, facts, judgement, cloud.settings, cloud.now())
    others = [report.problem for report in pipeline.troubles[1:]]
    outdated = (*facts.outdated, *((reading.outdated,) if reading.outdated else ()))
    widgets.verdict(pipeline.health, pipeline.headline, others[:3], outdated)
    widgets.render_problems(phases.problems)
    st.html(pipeline_steps.to_html(pipeline.steps, game_date))
    chosen = pipeline.get(st.query_params.get(STEP_PARAM, "")) or next(iter(pipeline.troubles), pipeline.steps[0])
    pipeline_steps.render_detail(chosen, game_date)
    widgets.source_footer((*phases.sources, *judgement.sources))


phases = widgets.value_or_notice(reading, "The steps of this date")
if phases is not None:
    render(phases)
