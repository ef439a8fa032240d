"""How the open rooms turn a name into code: one dict a room, `name -> "module:attribute"`, imported on use.

A user's own part needs no entry: wherever a registered name stands, "package.module:Name" and "./file.py:Name" do as
well. A file is looked for below the working directory.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from upbench.errors import UserError, unknown_name_error
from upbench.modules import Reference, is_file_name


class Registry(Mapping[str, str]):
    """The components of one room, by name.

    A component is a callable whose keyword-only parameters are its options: annotated, each with a default.
    Its module is imported when it is first used, so listing the names costs nothing and needs no torch.
    """

    def __init__(
        self,
        noun: str,
        entries: dict[str, str],
        *,
        given: tuple[str, ...] = (),
        needs: tuple[str, ...] = ("__call__",),
    ) -> None:
        """Make a registry.

        Args:
            noun: what a component is called in messages: "layer", "data set" and so on.
            entries: "module:attribute" by name.
            given: keyword parameters that the caller supplies and that are therefore not options.
            needs: attributes without which something is no component of this room.
        """
        self.noun = noun
        self._entries = entries
        self.given = given
        self._needs = needs
        self._models: dict[str, type[BaseModel]] = {}

    def __getitem__(self, name: str) -> str:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def locate(self, name: str, where: str = "") -> Reference:
        """The module and the attribute that `name` stands for. Nothing is imported.

        Raises UserError for a name that is neither registered nor "module:attribute".
        """
        # a grid can hold a number where a name should stand
        if isinstance(name, str):
            entry = self._entries.get(name, name)
            module, colon, attribute = entry.rpartition(":")
            if colon and module and attribute.isidentifier():
                return Reference(module, attribute)
        raise unknown_name_error(self.noun, name, self._entries, where)

    def get(self, name: str, where: str = "") -> Any:  # type: ignore[override]
        """The component of that name.

        Raises UserError for an unknown name, and for a user's own part that cannot be imported or is no such
        component.
        """
        reference = self.locate(name, where)
        if name in self._entries:
            return getattr(importlib.import_module(reference.module), reference.name)
        place = self._place(name, where)
        module = import_outside(reference.module, place)
        if not hasattr(module, reference.name):
            public = [known for known in vars(module) if not known.startswith("_")]
            raise unknown_name_error("name", reference.name, public, place)
        component = getattr(module, reference.name)
        # said here, or it would be an AttributeError somewhere in the middle of a run
        lacking = [attribute for attribute in self._needs if not hasattr(component, attribute)]
        if lacking:
            raise UserError(f"{place} is no {self.noun}: it has no {' and no '.join(lacking)}")
        return component

    def options(self, name: str, where: str = "") -> dict[str, Any]:
        """The options of a component and their defaults."""
        fields = self._model(name, where).model_fields
        return {key: field.default for key, field in fields.items()}

    def complete(self, name: str, options: Mapping[str, Any], where: str = "") -> dict[str, Any]:
        """The options of a component, checked, with its defaults filled in, as plain JSON values.

        Raises UserError for an unknown name, an unknown option or a value of the wrong type.
        """
        model = self._model(name, where)
        place = self._place(name, where)
        for key in options:
            if key not in model.model_fields:
                raise unknown_name_error("option", key, model.model_fields, place)
        try:
            # through JSON, in which a tuple and a list are the same and a cell is stored
            checked = model.model_validate_json(json.dumps(dict(options)), strict=True)
        except ValidationError as error:
            raise self._explain(error, model, place) from None
        except TypeError as error:
            raise UserError(f"{place}: {error}") from None
        return checked.model_dump(mode="json")

    def build(self, name: str, *args: Any, **options: Any) -> Any:
        """Call the component `name`. Raises UserError for an unknown name."""
        return self.get(name)(*args, **options)

    def _place(self, name: str, where: str) -> str:
        """The place of a component, with which messages begin."""
        component = f"{self.noun} {name!r}"
        return f"{where}: {component}" if where else component

    def _explain(self, error: ValidationError, model: type[BaseModel], place: str) -> UserError:
        """The refusal of a value, with the nearest allowed one where the allowed ones are listed."""
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        value = first["input"]
        option = model.model_fields.get(key)
        if first["type"] == "literal_error" and option is not None:
            allowed = typing.get_args(option.annotation)
            return unknown_name_error(key, value, map(str, allowed), place)
        return UserError(f"{place}: option {key!r} = {value!r}: {first['msg']}")

    def _model(self, name: str, where: str) -> type[BaseModel]:
        """The pydantic model of a component's options."""
        component = self.get(name, where)
        if name not in self._models:
            signed = component.__init__ if inspect.isclass(component) else component
            try:
                hints = typing.get_type_hints(signed)
            except NameError as error:
                # a type that is imported for type checkers alone
                place = self._place(name, where)
                raise UserError(f"{place}: the type of an option cannot be read: {error}") from None
            fields: dict[str, Any] = {}
            for key, parameter in inspect.signature(component).parameters.items():
                if parameter.kind is parameter.KEYWORD_ONLY and key not in self.given:
                    fields[key] = (hints.get(key, Any), parameter.default)
            # a model's own attributes are protected names, an option may be called like one
            config = ConfigDict(extra="forbid", protected_namespaces=())
            self._models[name] = create_model("options", __config__=config, **fields)
        return self._models[name]


def import_outside(module: str, place: str) -> ModuleType:
    """Import a user's own module, named as in an import statement or by its file.

    Neighbours of a file, and packages in the working directory, can be imported by it as by a script.
    Raises UserError, which begins with `place`, if there is no such module or its import fails.
    """
    if is_file_name(module):
        path = Path(module).resolve()
        if not path.is_file():
            raise UserError(f"{place}: there is no file {path}")
        return _import_file(path, place)
    _look_for_modules_in(Path.cwd())
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise _import_error(place, module, error) from None


def _import_file(path: Path, place: str) -> ModuleType:
    """The module of a file, run once a process. Its name holds the file's place, as two files can have one name."""
    name = f"upbench_own_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    _look_for_modules_in(path.parent)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{place}: {path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _import_error(place, str(path), error) from None
    return module


def _look_for_modules_in(folder: Path) -> None:
    """Let imports find modules in a folder, after all other places."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _import_error(place: str, module: str, error: Exception) -> UserError:
    line = getattr(error, "lineno", None)
    at = f", line {line}" if line else ""
    return UserError(f"{place}: {module}{at} cannot be imported: {type(error).__name__}: {error}")
