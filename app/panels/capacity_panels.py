"""Changes of the worker's capacity, each form with its own button: the emergency limit, the normal capacity, another one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from app.actions import dialog
from app.components import tables, text_format, widgets
from app.components.number_field import whole_number_field
from app.state import reads, session
from services.scaling.actions import RESTORE_CAPACITY, SCALE_DOWN, SET_CAPACITY
from services.scaling.annotations import format_capacity
from services.scaling.capacity import MAX_CONCURRENCY, MAX_INSTANCES, WorkerCapacity, normal_setting
from services.scaling.contention import simulate_contention
from services.scaling.move_traffic import MOVE_TRAFFIC
from services.scaling.plan import emergency_capacity

_NEVER = "Never"
_DURATIONS = {_NEVER: None, "After 1 h": timedelta(hours=1), "After 3 h": timedelta(hours=3)}


def capacity_forms() -> None:
    """The worker's capacity as it is and as it was set, and the three ways to change it."""
    capacity = widgets.value_or_notice(reads.worker_capacity(session.cached_clients()), "Worker capacity")
    if capacity is None:
        return
    _capacity_table(capacity)
    emergency, normal, other = st.columns([1, 1, 1.4], border=True)
    with emergency:
        _emergency_form(capacity)
    with normal:
        _normal_form(capacity)
    with other:
        _other_form(capacity)
    if not capacity.traffic.follows_latest:
        dialog.action_button(MOVE_TRAFFIC)


def _heading(title: str, text: str) -> None:
    st.markdown(f"**{title}**")
    st.caption(text_format.escape_markdown(text))


def _emergency_form(capacity: WorkerCapacity) -> None:
    target = emergency_capacity(capacity)
    text = format_capacity(*target)
    _heading(
        "Emergency limit", f"{text} = {target[0] * target[1]} concurrent requests: no rejections with direct MERGE."
    )
    duration = st.segmented_control(
        "Revert automatically",
        list(_DURATIONS),
        default=_NEVER,
        required=True,
        key="auto_revert",
        bind="query-params",
    )
    revert_after = _DURATIONS[duration or _NEVER]
    revert_params: dict[str, Any] = {"revert_at": (_now_to_minute() + revert_after).isoformat()} if revert_after else {}
    is_there = (capacity.actual.instances, capacity.actual.concurrency) == target
    label = f"Already at {text}" if is_there else f"Reduce to {text}"
    dialog.action_button(SCALE_DOWN, label, primary=not is_there, disabled=is_there, **revert_params)


def _normal_form(capacity: WorkerCapacity) -> None:
    normal = normal_setting(capacity)
    source = "saved on the service" if capacity.annotations.recorded_normal else "configured default"
    _heading("Normal capacity", f"{normal} = {normal.capacity or 'unbounded'} concurrent requests, {source}.")
    is_there = capacity.actual == normal
    label = "Already at normal capacity" if is_there else "Restore normal capacity"
    dialog.action_button(RESTORE_CAPACITY, label, disabled=is_there)


def _other_form(capacity: WorkerCapacity) -> None:
    """Another capacity, with the button that sets it and its effect; while a field holds no such number, why."""
    st.markdown("**Other capacity**")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="capacity form"):
        instances, instances_problem = whole_number_field(
            "Max instances", 1, MAX_INSTANCES, capacity.actual.instances or 4, key="set instances"
        )
        concurrency, concurrency_problem = whole_number_field(
            "Concurrency per instance", 1, MAX_CONCURRENCY, capacity.actual.concurrency, key="set requests"
        )
        if instances is None or concurrency is None:
            dialog.action_button(SET_CAPACITY, key="form", disabled=True)
            problems = text_format.escape_markdown(f"{instances_problem} {concurrency_problem}".strip())
            st.markdown(f":red[:material/error: {problems}]", width="stretch")
            return
        is_there = (capacity.actual.instances, capacity.actual.concurrency) == (instances, concurrency)
        label = f"{'Already at' if is_there else 'Apply'} {instances} × {concurrency}"
        dialog.action_button(
            SET_CAPACITY, label, key="form", disabled=is_there, instances=instances, requests=concurrency
        )
    st.caption(text_format.escape_markdown(simulate_contention(instances, concurrency).summary))


def _now_to_minute() -> datetime:
    """Now, to the minute, so that a plan keeps its hash while it is read."""
    return session.now().replace(second=0, microsecond=0)


def _capacity_table(capacity: WorkerCapacity) -> None:
    """Actual, requested and configured capacity side by side, and a drift where a setting was overwritten."""
    instances, concurrency = capacity.configured
    annotations = capacity.annotations
    by = f" by {annotations.set_by}" if annotations.set_by else ""
    row = {
        "Current": str(capacity.actual),
        "Requested": f"{annotations.set_to}{by}" if annotations.set_to else "not set from this dashboard",
        "Configured default": f"{instances} × {concurrency}",
        "Saved normal": str(annotations.normal) if annotations.normal else "not saved",
        "Auto-revert": text_format.format_clock_time(annotations.revert_at) if annotations.revert_at else "no",
    }
    tables.text_table([row], alt="Current, requested and configured capacity of the worker", empty="")
    if capacity.drift:
        st.warning(text_format.escape_markdown(capacity.drift), icon=":material/trending_flat:")
