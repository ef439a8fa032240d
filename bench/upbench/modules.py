"""Python modules read, not run: where their files are, what they define and what they import.

Nothing is imported here, so a stored result can be judged, and the components listed, without torch.
A module is named as in an import statement, or by the path of its file where a user's own part is a file.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
PACKAGE = __name__.partition(".")[0]
PACKAGE_FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Reference:
    """A name somewhere else.

    Attributes:
        module: the module that holds it.
        name: the name in that module, "" for the module itself.
    """

    module: str
    name: str = ""


@dataclass(frozen=True, eq=False)
class Module:
    """The source of one module, taken apart.

    Attributes:
        name: as it was asked for.
        path: its file.
        definitions: the statements at the top level that define each name; more than one where a name is set again.
        imports: what each imported name stands for.
        effects: the other statements at the top level, which act when the module is imported.
    """

    name: str
    path: Path
    definitions: Mapping[str, tuple[ast.stmt, ...]]
    imports: Mapping[str, Reference]
    effects: tuple[ast.stmt, ...]

    def resolve(self, name: str) -> Reference | None:
        """What a name at the top level stands for; None for a builtin, or a name that nothing here defines."""
        if name in self.definitions:
            return Reference(self.name, name)
        if name in self.imports:
            return self.imports[name]
        # what `from module import *` may have brought
        starred = self.imports.get("*")
        other = read_module(starred.module) if starred else None
        return other.resolve(name) if other else None

    def resolve_dotted(self, node: ast.expr) -> Reference | None:
        """What `name` or `module.name` in an expression stands for, as far as the imports say."""
        if isinstance(node, ast.Name):
            return self.resolve(node.id)
        if not isinstance(node, ast.Attribute):
            return None
        owner = self.resolve_dotted(node.value)
        if owner is None or owner.name:
            return None
        return _member(owner.module, node.attr)


@cache
def read_module(name: str) -> Module | None:
    """The module of this name or path, None where it has no Python file or the file does not parse."""
    path = find_file(name)
    if path is None:
        return None
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    definitions: dict[str, tuple[ast.stmt, ...]] = {}
    imports: dict[str, Reference] = {}
    effects: list[ast.stmt] = []
    for statement in tree.body:
        names = _defined_names(statement)
        for defined in names:
            definitions[defined] = (*definitions.get(defined, ()), statement)
        # a later import of the same name wins, as it does when the module runs
        if isinstance(statement, ast.Import | ast.ImportFrom):
            imports |= read_imports(statement, name)
        elif _is_type_checking(statement):
            # what is imported for the types alone is never called
            continue
        elif not names and not _is_inert(statement):
            effects.append(statement)
            # an import may stand behind a condition, or in a try
            for node in ast.walk(statement):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    imports |= read_imports(node, name)
    return Module(name, path, MappingProxyType(definitions), MappingProxyType(imports), tuple(effects))


@cache
def find_file(name: str) -> Path | None:
    """The Python file of a module, found without importing anything; None if there is none."""
    if is_file_name(name):
        path = Path(name).resolve()
        return path if path.is_file() else None
    top, *rest = name.split(".")
    for folder in _package_folders(top, rest):
        for candidate in (folder.with_suffix(".py"), folder / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def is_file_name(name: str) -> bool:
    """Whether a module is named by its file."""
    return name.endswith(".py")


def read_imports(statement: ast.Import | ast.ImportFrom, importer: str) -> dict[str, Reference]:
    """What each name that the statement brings into `importer` stands for."""
    found: dict[str, Reference] = {}
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            # `import a.b` brings `a`, `import a.b as c` brings the submodule
            module = alias.name if alias.asname else alias.name.partition(".")[0]
            found[alias.asname or module] = Reference(_beside(module, importer))
        return found
    module = _absolute(statement, importer)
    for alias in statement.names:
        found[alias.asname or alias.name] = _member(_beside(module, importer), alias.name)
    return found


def _member(module: str, name: str) -> Reference:
    """`name` of a module: the submodule if there is one, else what the module defines under that name."""
    submodule = f"{module}.{name}"
    if not is_file_name(module) and find_file(submodule) is not None:
        return Reference(submodule)
    return Reference(module, name)


def _absolute(statement: ast.ImportFrom, importer: str) -> str:
    """The module of `from module import ...`, without leading dots."""
    if not statement.level:
        return statement.module or ""
    path = find_file(importer)
    package = importer.split(".")
    steps = statement.level
    # one dot is the package a module lies in, which for __init__.py is the module itself
    if path is not None and path.name == "__init__.py":
        steps -= 1
    parts = package[: len(package) - steps]
    return ".".join([*parts, *([statement.module] if statement.module else [])])


def _beside(module: str, importer: str) -> str:
    """The path of a module that lies beside a user's file, which finds its neighbours as a script does."""
    if is_file_name(importer):
        neighbour = Path(importer).resolve().with_name(f"{module.partition('.')[0]}.py")
        if neighbour.is_file():
            return str(neighbour)
    return module


def _package_folders(top: str, rest: list[str]) -> Iterator[Path]:
    """The folders, or files without their suffix, at which a module can lie."""
    if top == PACKAGE:
        yield PACKAGE_FOLDER.joinpath(*rest)
        return
    try:
        spec = importlib.util.find_spec(top)  # of a top-level name: this looks for a file, and imports nothing
    except (ImportError, ValueError):
        spec = None
    if spec is not None and spec.submodule_search_locations:
        for location in spec.submodule_search_locations:
            yield Path(location, *rest)
    elif spec is not None and spec.origin and not rest:
        yield Path(spec.origin).with_suffix("")
    # the registry lets a user's own package be imported from here
    yield Path.cwd().joinpath(top, *rest)


def _defined_names(statement: ast.stmt) -> list[str]:
    if isinstance(statement, DEFINITIONS):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    else:
        return []
    names = []
    for target in targets:
        parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
        names += [part.id for part in parts if isinstance(part, ast.Name)]
    return names


def _is_type_checking(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING")


def _is_inert(statement: ast.stmt) -> bool:
    """Whether a statement without names does nothing: a docstring, or what only a script runs."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.If) and "__main__" in ast.unparse(statement.test)
