"""The box where aliases are pasted, a line each: how many are valid, and what is wrong with the others. All are saved or none.

Lines that were saved leave the box.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from app.actions import action_feed
from app.components import text_format
from app.components.text_field import over_limit
from services.actions.log_reader import ActionState
from services.aliases.edits import MAX_EDITS, Edit, EditKind, ParsedLines, from_params, parse_lines, reverse_conflicting
from services.aliases.save import EDIT_ALIASES, validate
from services.aliases.validation import Violation
from services.names.registry import NameRegistry

MAX_LISTED = 20  # problems; the rest are counted
PASTE_KEY = "pasted aliases"
_VALIDATED_KEY = "validated edits"
_REMOVED_KEY = "saves whose lines have left the box"


def paste_box(registry: NameRegistry, accepted: Sequence[Edit]) -> tuple[Edit, ...]:
    """The box, and every change that its lines and the accepted suggestions make together; none while something is wrong."""
    with st.container(border=True, gap="small", key="paste"):
        st.markdown("### Paste aliases")
        is_saving = _remove_saved_lines(registry)
        text = st.text_area(
            f"One per line: alias, canonical. Up to {MAX_EDITS} lines.",
            key=PASTE_KEY,
            height=140,
            placeholder="herbjones, herbertjones",
            persist_state="session",
            disabled=is_saving,  # what is typed meanwhile would leave with the saved lines
        )
        parsed = parse_lines(text or "")
        if too_many := over_limit(parsed.count, MAX_EDITS, "lines"):
            _list_problems([too_many])
            return ()
        return _validated(registry, accepted, parsed)


def _remove_saved_lines(registry: NameRegistry) -> bool:
    """Take the lines that the table has out of the box, once for each save of this session; whether one is under way."""
    saves = [handle for handle in action_feed.session_handles().values() if handle.action_name == EDIT_ALIASES.name]
    removed: set[str] = st.session_state.setdefault(_REMOVED_KEY, set())
    for action in (save.future.result() for save in saves if save.ended and save.error is None):
        if action.state is not ActionState.DONE or action.action_id in removed:
            continue
        saved = (edit for edit in from_params(action.plan.args) if edit.do is EditKind.ADD)
        if all(_exists(edit, registry) for edit in saved):  # the table was read after the save
            removed.add(action.action_id)
            _keep_lines_without_alias(registry)
    return any(not save.ended for save in saves)


def _keep_lines_without_alias(registry: NameRegistry) -> None:
    text: str = st.session_state.get(PASTE_KEY) or ""
    edits = parse_lines(text).edits
    kept = [
        line
        for number, line in enumerate(text.splitlines(), 1)
        if number not in edits or not _exists(edits[number], registry)
    ]
    st.session_state[PASTE_KEY] = "\n".join(kept) if parse_lines("\n".join(kept)).count else ""


def _exists(edit: Edit, registry: NameRegistry) -> bool:
    return edit.canonical in registry.active.get(edit.alias, ())


def _validated(registry: NameRegistry, accepted: Sequence[Edit], parsed: ParsedLines) -> tuple[Edit, ...]:
    new_lines = {number: edit for number, edit in parsed.edits.items() if not _exists(edit, registry)}
    wanted = {(edit.alias, edit.canonical): edit for edit in (*accepted, *new_lines.values())}
    changes = reverse_conflicting(wanted.values(), registry.active)
    line_by_name = {edit.alias: number for number, edit in reversed(list(new_lines.items()))}
    problems = {number: f"Line {number}: {problem}" for number, problem in parsed.problems.items()}
    unnumbered = []
    for violation in _validation_errors(registry, changes):
        number = line_by_name.get(violation.alias) or line_by_name.get(violation.canonical)
        if number is None:
            unnumbered.append(violation.message)
        elif number not in problems:
            problems[number] = f"Line {number}: {violation.message}"
    if parsed.count:
        _summarize(parsed, new_lines, problems)
    for edit in (edit for edit in changes if edit.do is EditKind.DEACTIVATE):
        pair = text_format.escape_markdown(f"{edit.alias} → {edit.canonical}")
        st.caption(f":material/swap_horiz: Reverses the existing alias {pair}.")
    _list_problems([*unnumbered, *(problem for _, problem in sorted(problems.items()))])
    return () if problems or unnumbered else changes


def _summarize(parsed: ParsedLines, new_lines: Mapping[int, Edit], problems: Mapping[int, str]) -> None:
    valid = sum(number not in problems for number in parsed.edits)
    existing = len(parsed.edits) - len(new_lines)
    existing_text = f", {existing} of them {'exists' if existing == 1 else 'exist'} already" if existing else ""
    st.markdown(
        f":green[:material/check:] **{valid} of {text_format.pluralize(parsed.count, 'line')} valid**{existing_text}"
    )


def _list_problems(problems: Sequence[str]) -> None:
    """One list, however many there are."""
    if not problems:
        return
    shown = [f"- {text_format.escape_markdown(problem)}" for problem in problems[:MAX_LISTED]]
    if len(problems) > MAX_LISTED:
        shown.append(f"- and {len(problems) - MAX_LISTED:,} more")
    count_text = text_format.pluralize(len(problems), "problem")
    st.markdown(f":red[:material/error: **{count_text}.** Nothing is saved until they are fixed.]\n" + "\n".join(shown))


def _validation_errors(registry: NameRegistry, edits: Sequence[Edit]) -> tuple[Violation, ...]:
    """The errors of these edits; validated once for the same aliases and edits, however often the page reruns."""
    cached = st.session_state.get(_VALIDATED_KEY)
    if cached is None or cached[0] is not registry or cached[1] != edits:
        st.session_state[_VALIDATED_KEY] = cached = (registry, edits, validate(registry, edits).errors)
    errors: tuple[Violation, ...] = cached[2]
    return errors
