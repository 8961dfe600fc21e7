"""Connections: does the desk reach everything it stands on, and what repairs what it does not reach?"""

from __future__ import annotations

import streamlit as st

from app.components import tables, widgets
from app.state import reads, session
from services.core.result import Health
from services.doctor.examination import Examination
from services.doctor.finding import Finding

cloud = session.cloud()


def headline(found: Examination) -> str:
    wrong = [finding for finding in found.findings if finding.health not in (Health.OK, Health.NONE_EXPECTED)]
    if not wrong:
        return f"All {len(found.findings)} connections stand"
    return f"{len(wrong)} of {len(found.findings)} connections need a look; first: {wrong[0].about}"


def row(finding: Finding) -> dict[str, object]:
    return {"state": widgets.badge(finding.health), "about": finding.about, "what was found": finding.sentence}


def show(found: Examination) -> None:
    widgets.verdict(found.health, headline(found), ["Nothing is changed by looking"])
    if repairs := {finding.repair: finding for finding in found.findings if finding.repair}:
        with st.expander(f"{len(repairs)} commands that repair it", icon=":material/build:", expanded=True):
            text = "\n".join(f"# {finding.about}\n{command}" for command, finding in repairs.items())
            st.code(text, language="bash", wrap_lines=True)
    with st.container(key="connections"):
        tables.listing([row(finding) for finding in found.findings], alt="Connections", empty="Nothing was looked at.")
    widgets.footer(found.sources, cloud.now())


examination = widgets.known(reads.doctor(cloud), "The connections")
if examination is not None:
    show(examination)
