"""What Python source does, as text and as a hash in which comments, docstrings and layout do not count."""

from __future__ import annotations

import ast
import hashlib
from typing import Any


def code_digest(source: str) -> str:
    """The hash of what the source does.

    Sources that differ only in comments, docstrings or layout have the same hash. One source has the same hash under
    every version of Python that can parse it.

    Args:
        source: the text of a module.

    Returns:
        SHA-256 of the canonical code, as 64 hexadecimal digits.

    Raises:
        SyntaxError: the source is no Python.
    """
    code = canonical_code(ast.parse(source))
    return hashlib.sha256(code.encode("ascii")).hexdigest()


def canonical_code(node: ast.AST) -> str:
    """One text for all spellings of the same code.

    Args:
        node: the root of a syntax tree, or any node in it. It is not changed.

    Returns:
        One line for each node, list and value below `node`, indented by its depth. Comments, and strings that stand
        alone as a statement, among them all docstrings, are not in it.
    """
    lines = []
    # a stack and not a recursion: a sum of 1,000 terms is a tree 1,000 nodes deep
    pending: list[tuple[int, str, Any]] = [(0, "root", node)]
    while pending:
        depth, label, value = pending.pop()
        children: list[tuple[str, Any]] = []
        if isinstance(value, ast.AST):
            text = type(value).__name__
            children = _significant_fields(value)
        elif isinstance(value, list):
            text = "list"
            children = [("item", item) for item in value]
        else:
            text = _spell_constant(value)
        lines.append(f"{' ' * depth}{label}: {text}")
        for name, child in reversed(children):
            pending.append((depth + 1, name, child))
    return "\n".join(lines)


def _significant_fields(node: ast.AST) -> list[tuple[str, Any]]:
    """The fields of the node that change what it does."""
    fields = []
    for name, value in ast.iter_fields(node):
        if name == "ctx":  # loading, storing or deleting follows from where the node stands
            continue
        if name == "values" and isinstance(node, ast.JoinedStr):
            value = _join_texts(value)
        if isinstance(value, list):
            value = [item for item in value if not _is_lone_string(item)]
            # so that a class or function with a docstring alone equals one with `pass` alone
            if name == "body" and not value:
                value = [ast.Pass()]
        # later versions of Python give old nodes new fields, which old syntax leaves empty
        is_empty = value is None or value == []
        is_constant = isinstance(node, ast.Constant) and name == "value"
        if is_constant or not is_empty:
            fields.append((name, value))
    return fields


def _is_lone_string(node: Any) -> bool:
    """Whether the node is a statement that is only a string, such as a docstring. It has no effect anywhere."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _join_texts(values: list[ast.expr]) -> list[ast.expr]:
    """The parts of an f-string, neighbouring texts made one: where texts are cut depends on the version of Python."""
    joined: list[ast.expr] = []
    text = ""
    for part in values:
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            text += part.value
            continue
        if text:
            joined.append(ast.Constant(text))
            text = ""
        joined.append(part)
    if text:
        joined.append(ast.Constant(text))
    return joined


def _spell_constant(value: object) -> str:
    # `repr` refuses integers of more than 4,300 digits
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value)
    # which characters `repr` escapes depends on the version of Python
    return ascii(value)
