"""What mutmut leaves alone here: sentences for people, in messages and log lines. SQL is text too, but it is code."""

from __future__ import annotations

import re

import libcst as cst
from mutmut.mutation.file_mutation import MutationVisitor

SQL = re.compile(
    r"\b(SELECT|FROM|WHERE|WHEN|MERGE|USING|UPDATE|INSERT|VALUES|AND|OR|NULL|CAST|PARTITION BY|AS|TRUE|FALSE)\b"
)
_ADJACENT = (cst.ConcatenatedString, cst.BinaryOperation)


class TextExcludingVisitor(MutationVisitor):
    """mutmut's visitor, but neither a sentence nor the value that a sentence is given to is changed."""

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        return is_sentence(node) or _raises_a_sentence(node) or super()._skip_node_and_children(node)

    def _removes_ignored_code(self, node: cst.CSTNode, mutated_node: cst.CSTNode) -> bool:
        return _removes_a_sentence(node, mutated_node) or super()._removes_ignored_code(node, mutated_node)


def is_sentence(node: cst.CSTNode | None) -> bool:
    """Whether an expression is text with a space in it, a separator too, that is not SQL; of a choice between texts, both."""
    if isinstance(node, cst.IfExp):
        return is_sentence(node.body) and is_sentence(node.orelse)
    if isinstance(node, _ADJACENT):
        return is_sentence(node.left) or is_sentence(node.right)
    text = _literal_text(node)
    return " " in text and not SQL.search(text)


def _literal_text(node: cst.CSTNode | None) -> str:
    if isinstance(node, cst.SimpleString):
        return node.raw_value
    if isinstance(node, cst.FormattedString):
        return "".join(part.value if isinstance(part, cst.FormattedStringText) else "x" for part in node.parts)
    return ""


def _raises_a_sentence(node: cst.CSTNode) -> bool:
    """`raise Error("Sentence.", hint)`: that it is raised is the condition's business, the rest is text."""
    call = node.exc if isinstance(node, cst.Raise) else None
    return isinstance(call, cst.Call) and bool(call.args) and is_sentence(call.args[0].value)


def _removes_a_sentence(node: cst.CSTNode, mutated_node: cst.CSTNode) -> bool:
    """A call loses the argument that is a sentence, or a name its sentence."""
    if isinstance(node, cst.Call) and isinstance(mutated_node, cst.Call):
        kept = {id(argument.value) for argument in mutated_node.args}
        return any(is_sentence(argument.value) and id(argument.value) not in kept for argument in node.args)
    return isinstance(node, cst.Assign | cst.AnnAssign) and is_sentence(node.value)
