"""The hash of code changes with whatever the code does, and with nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import upbench
from hypothesis import given
from hypothesis import strategies as st
from upbench.source import canonical_code, code_digest

FILES = sorted(Path(upbench.__file__).parent.rglob("*.py"))

PLAIN = """
def double(x, *, times=2):
    return [x * times, f"{x:>{times}} is {x!r}"]

class Empty(Exception):
    pass

LIMIT = 3
"""

DOCUMENTED = '''"""A module."""

# a comment
def double(x, *, times = 2):  # another
    """Twice x."""
    return [
        x * times,
        f'{x:>{times}}' " is " f"{x!r}",
    ]


class Empty(Exception):
    """Nothing is in it."""


LIMIT = (3)
"""What a constant means."""
'''

ALL_SYNTAX = """
from __future__ import annotations
import a.b as c
from . import d
@c(1, *d, k=2, **e)
class A(B, metaclass=C):
    x: int = 0x10
async def f(p, /, q=1.5, *r, s, t=None, **u) -> dict[str, int]:
    global g
    async with a as b, c:
        await d
    async for i in j:
        yield i
    return {**p, "q": [y async for x in q if x for y in x], **{z: 1j for z in u}}
try:
    assert x if (y := z) else not w, b"\\x00"
except* (E, F) as error:
    raise G from error
else:
    del h[1:, ..., ::-1]
finally:
    lambda *k: ~k @ -k // 2 ** 3
match m:
    case {"a": 1, **rest} | [_, *more] | None | H(x=-1 as n) if n is not o:
        print(f"a{{b{m!r:>{n}.2f}}}" "c" f"{rest = }" f"", "\\u00e9\\ud800\\U0001f600")
while not (a < b <= c != d in e):
    continue
"""


def test_comments_docstrings_and_layout_do_not_count() -> None:
    assert code_digest(DOCUMENTED) == code_digest(PLAIN)


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_what_python_writes_from_the_tree_is_the_same_code(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert code_digest(ast.unparse(ast.parse(source))) == code_digest(source)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "True"),
        ("1", "1.0"),
        ("None", "..."),
        ("x = 'a'", "x = b'a'"),
        ("x = 'None'", "x = None"),
        ("x.a", "x.b"),
        ("f(a)", "f(*a)"),
        ("f(a=a)", "f(**a)"),
        ("{**a, b: c}", "{a: b, **c}"),
        ("lambda *, a, b=1: 0", "lambda *, a=1, b: 0"),
        ("def f(a, /): pass", "def f(a): pass"),
        ("def f(): return", "async def f(): return"),
        ("a[b:]", "a[:b]"),
        ("a + b", "a - b"),
        ("(a + b) + c", "a + (b + c)"),
        ("x = f'{a}b'", "x = f'{a}c'"),
        ("x = f'{a}'", "x = f'{a!s}'"),
        ("x = f'{a:b}'", "x = f'{a}b'"),
        ("x = f'a'", "x = 'a'"),
        ("if a:\n  b\nc", "if a:\n  b\n  c"),
        ("x: int", "x: str"),
        ("@a\ndef f(): pass", "def f(): pass"),
        ("from a import b", "from .a import b"),
        ("return_ = 'doc'", "'doc'"),
    ],
)
def test_whatever_else_differs_counts(one: str, other: str) -> None:
    assert code_digest(one) != code_digest(other)


def changeable_fields(tree: ast.AST) -> list[tuple[ast.AST, str]]:
    """Every name, number and string in the tree that is in no docstring."""
    places = []
    for parent in ast.walk(tree):
        for child in ast.iter_child_nodes(parent):
            if isinstance(child, ast.Constant) and isinstance(parent, ast.Expr):
                continue
            for name, value in ast.iter_fields(child):
                if isinstance(value, str | int | float):
                    places.append((child, name))
    return places


@given(data=st.data())
def test_one_changed_name_or_constant_anywhere_changes_the_code(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(FILES))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    before = canonical_code(tree)
    places = changeable_fields(tree)
    if not places:
        return
    node, name = data.draw(st.sampled_from(places))
    value = getattr(node, name)
    setattr(node, name, f"{value}_" if isinstance(value, str) else 3 * value + 1)
    assert canonical_code(tree) != before


@given(st.text(), st.text())
def test_strings_count_by_their_characters(one: str, other: str) -> None:
    assert (code_digest(f"x = {one!r}") == code_digest(f"x = {other!r}")) == (one == other)


@given(st.integers())
def test_integers_count_by_their_values(number: int) -> None:
    assert code_digest(f"x = {hex(number)}") == code_digest(f"x = {number}")


def test_the_tree_is_left_as_it_was() -> None:
    tree = ast.parse(DOCUMENTED)
    before = ast.dump(tree)
    canonical_code(tree)
    assert ast.dump(tree) == before


def test_a_node_alone_has_its_code() -> None:
    documented, plain = ast.parse(DOCUMENTED).body, ast.parse(PLAIN).body
    assert canonical_code(documented[1]) == canonical_code(plain[0])
    assert canonical_code(plain[0]) != canonical_code(plain[1])


def test_deep_code_and_long_numbers_have_a_hash() -> None:
    assert len(code_digest(" + ".join(["a"] * 2000))) == 64
    assert len(code_digest(f"x = 0x1{'0' * 9000}")) == 64


def test_every_version_of_python_gives_this_hash() -> None:
    assert code_digest(ALL_SYNTAX) == "05f4884b49d3b11d2571bef5d64dee1de898f54914834959a714dff2c45e81f6"


def test_what_is_no_python_is_refused() -> None:
    with pytest.raises(SyntaxError):
        code_digest("def")
