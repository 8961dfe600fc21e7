"""The box where aliases are pasted, a line each: how many are valid, and what is wrong with the others. All are saved or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from app.components import text_format
from app.components.text_field import over_limit
from services.aliases.edits import MAX_EDITS, Edit, EditKind, ParsedLines, parse_lines, reverse_conflicting
from services.aliases.save import validate
from services.aliases.validation import Violation
from services.names.registry import NameRegistry

MAX_LISTED = 20  # problems; the rest are counted
PASTE_KEY = "pasted aliases"
_VALIDATED_KEY = "validated edits"


def paste_box(registry: NameRegistry, accepted: Sequence[Edit]) -> tuple[Edit, ...]:
    """The box, and every change that its lines and the accepted suggestions make together; none while something is wrong."""
    with st.container(border=True, gap="small", key="paste"):
        st.markdown("### Paste aliases")
        text = st.text_area(
            f"One per line: alias, canonical. Up to {MAX_EDITS} lines.",
            key=PASTE_KEY,
            height=140,
            placeholder="herbjones, herbertjones",
            persist_state="session",
        )
        parsed = parse_lines(text or "")
        if too_many := over_limit(parsed.count, MAX_EDITS, "lines"):
            _list_problems([too_many])
            return ()
        return _validated(registry, accepted, parsed)


def _validated(registry: NameRegistry, accepted: Sequence[Edit], parsed: ParsedLines) -> tuple[Edit, ...]:
    new_lines = {
        number: edit
        for number, edit in parsed.edits.items()
        if edit.canonical not in registry.active.get(edit.alias, ())
    }
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
    existing_text = f", {existing} of them exist already" if existing else ""
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
