"""What the components are and which options they take, read from their source: `upbench list` needs no torch."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from upbench.modules import Module, Reference, read_module

DEPTH = 8  # aliases that are followed from one module to the next


@dataclass(frozen=True)
class Option:
    """One option of a component.

    Attributes:
        name: the keyword.
        default: its default, as Python source.
        choices: the allowed values where the annotation lists them, else empty.
        text: what the component's documentation says of it.
    """

    name: str
    default: str
    choices: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Description:
    """What a component says of itself.

    Attributes:
        summary: the first paragraph of its documentation.
        options: its options, in order.
    """

    summary: str
    options: tuple[Option, ...] = field(default=())


def describe(component: Reference, given: tuple[str, ...] = ()) -> Description:
    """Read what a component is.

    Args:
        component: the module and the name under which it is defined.
        given: parameters that the caller supplies, which are no options.
    """
    found = _find_definition(component)
    if found is None:
        return Description("")
    module, statement = found
    if isinstance(statement, ast.ClassDef):
        text = ast.get_docstring(statement) or ""
        documented = read_entries(text)
        options = []
        for name, default, annotation, owner in _class_options(module, statement):
            if name not in given:
                choices = tuple(_listed_values(owner, annotation, DEPTH))
                options.append(Option(name, _default_text(owner, default), choices, documented.get(name, "")))
        return Description(_first_paragraph(text), tuple(options))
    if isinstance(statement, ast.FunctionDef):
        return Description(_first_paragraph(ast.get_docstring(statement) or ""))
    return _describe_value(module, statement)


def read_literal(component: Reference, attribute: str) -> Any:
    """The value of a class attribute that is written as a literal; None where the class has no such attribute."""
    found = _find_definition(component)
    if found is None:
        return None
    module, written = found
    if not isinstance(written, ast.ClassDef):
        return None
    # the nearest class that sets it counts
    for _, definition in _class_line(module, written):
        for statement in definition.body:
            target = _target(statement)
            value = getattr(statement, "value", None)
            if target == attribute and value is not None:
                return ast.literal_eval(value)
    return None


def read_entries(docstring: str) -> dict[str, str]:
    """The entries of the lists `Args:` and `Attributes:` of a documentation in Google's form, by name."""
    entries: dict[str, str] = {}
    section = name = ""
    for line in inspect.cleandoc(docstring).splitlines():
        heading = re.fullmatch(r"(\w+):", line)
        if heading:
            section, name = heading.group(1), ""
            continue
        # a line at the margin ends a list, a blank one does not
        if line and not line.startswith(" "):
            section = name = ""
            continue
        if section not in ("Args", "Attributes"):
            continue
        entry = re.match(r"    (\w+)(?: \([^)]*\))?: (.*)", line)
        if entry:
            name = entry.group(1)
            entries[name] = entry.group(2).strip()
        elif name and line.strip():
            entries[name] += " " + line.strip()
    return entries


def _find_definition(component: Reference, depth: int = DEPTH) -> tuple[Module, ast.stmt] | None:
    """The statement that defines a component, in the module where it is written."""
    module = read_module(component.module)
    if module is None or not depth:
        return None
    statements = module.definitions.get(component.name)
    if statements:
        return module, statements[-1]
    elsewhere = module.imports.get(component.name)
    return _find_definition(elsewhere, depth - 1) if elsewhere else None


def _class_line(module: Module, definition: ast.ClassDef, depth: int = DEPTH) -> Iterator[tuple[Module, ast.ClassDef]]:
    """The class and its bases, as far as their source can be read, nearest first."""
    yield module, definition
    if not depth:
        return
    for base in definition.bases:
        reference = module.resolve_dotted(base)
        found = _find_definition(reference) if reference else None
        if found and isinstance(found[1], ast.ClassDef):
            yield from _class_line(found[0], found[1], depth - 1)


def _class_options(module: Module, definition: ast.ClassDef) -> Iterator[tuple[str, ast.expr, ast.expr | None, Module]]:
    """(name, default, annotation, the module that writes them) of each keyword-only parameter of a class."""
    line = list(_class_line(module, definition))
    for owner, each in line:
        for statement in each.body:
            if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
                parameters = statement.args
                for parameter, default in zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True):
                    if default is not None:
                        yield parameter.arg, default, parameter.annotation, owner
                return
    # no constructor is written out, so this is a dataclass: fields of the bases come first, a class may set one anew
    fields: dict[str, tuple[ast.expr, ast.expr, Module]] = {}
    for owner, each in reversed(line):
        for statement in each.body:
            if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
                continue
            if statement.value is not None and "ClassVar" not in ast.unparse(statement.annotation):
                fields[statement.target.id] = (statement.value, statement.annotation, owner)
    for name, (default, annotation, owner) in fields.items():
        yield name, default, annotation, owner


def _default_text(module: Module, default: ast.expr) -> str:
    """A default as source; of a constant of the module, what it is set to."""
    if isinstance(default, ast.Name):
        for statement in module.definitions.get(default.id, ()):
            value = getattr(statement, "value", None)
            if isinstance(value, ast.Constant):
                return ast.unparse(value)
    return ast.unparse(default)


def _listed_values(module: Module, annotation: ast.expr | None, depth: int) -> Iterator[str]:
    """The values of a `Literal[...]`, or of a name that stands for one."""
    if annotation is None or not depth:
        return
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value).endswith("Literal"):
        values = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        for value in values:
            if isinstance(value, ast.Constant):
                yield str(value.value)
        return
    reference = module.resolve_dotted(annotation)
    found = _find_definition(reference) if reference else None
    if found and isinstance(found[1], ast.Assign):
        yield from _listed_values(found[0], found[1].value, depth - 1)


def _describe_value(module: Module, statement: ast.stmt) -> Description:
    """A component that is a value, as a metric is: the function that it is made of describes it."""
    value = getattr(statement, "value", None)
    if not isinstance(value, ast.Call) or not value.args:
        return Description("")
    reference = module.resolve_dotted(value.args[0])
    return describe(reference) if reference else Description("")


def _target(statement: ast.stmt) -> str:
    """The name that a class body's assignment sets, "" for any other statement."""
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return ""


def _first_paragraph(text: str) -> str:
    paragraph = text.partition("\n\n")[0]
    return " ".join(paragraph.split())
