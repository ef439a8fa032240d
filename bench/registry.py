"""How the open rooms turn a name into code: one dict a room, `name -> "module:attribute"`, imported on use."""

from __future__ import annotations

import importlib
import inspect
import json
import typing
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from bench.errors import UserError, unknown


class Registry(Mapping[str, str]):
    """The components of one kind, by name.

    A component is a callable whose keyword-only parameters are its options: annotated, each with a default.
    Its module is imported when it is first used, so listing names costs nothing and needs no torch.
    """

    def __init__(self, kind: str, entries: dict[str, str], *, given: tuple[str, ...] = ()) -> None:
        """`given` names keyword parameters that the caller supplies and that are therefore not options."""
        self.kind = kind
        self._entries = entries
        self._given = given

    def __getitem__(self, name: str) -> str:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @cached_property
    def _models(self) -> dict[str, type[BaseModel]]:
        return {}

    def module(self, name: str, where: str = "") -> str:
        """The module that defines `name`. Raises UserError for an unknown name."""
        if not isinstance(name, str) or name not in self._entries:
            raise unknown(self.kind, name, self._entries, where)
        return self._entries[name].partition(":")[0]

    def get(self, name: str, where: str = "") -> Any:  # type: ignore[override]
        """The component registered as `name`. Raises UserError for an unknown name."""
        module = importlib.import_module(self.module(name, where))
        return getattr(module, self._entries[name].partition(":")[2])

    def options(self, name: str, where: str = "") -> dict[str, Any]:
        """The options of `name` and their defaults."""
        return {key: field.default for key, field in self._model(name, where).model_fields.items()}

    def choices(self, name: str) -> dict[str, list[Any]]:
        """The options of `name` as lists: the default first, then the other allowed values where they are listed."""
        listed = {key: typing.get_args(field.annotation) for key, field in self._model(name, "").model_fields.items()}
        return {
            key: [default, *(value for value in listed[key] if isinstance(value, str | int) and value != default)]
            for key, default in self.options(name).items()
        }

    def complete(self, name: str, options: Mapping[str, Any], where: str = "") -> dict[str, Any]:
        """`options` checked against what `name` takes, with its defaults filled in, as plain JSON values.

        Raises UserError for an unknown name, an unknown option or a value of the wrong type.
        """
        model = self._model(name, where)
        place = f"{where + ': ' if where else ''}{self.kind} {name!r}"
        for key in options:
            if key not in model.model_fields:
                raise unknown("option", key, model.model_fields, place)
        try:
            return model.model_validate_json(json.dumps(dict(options)), strict=True).model_dump(mode="json")
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            if first["type"] == "literal_error" and key in model.model_fields:
                raise unknown(key, first["input"], map(str, self.choices(name)[key]), place) from None
            raise UserError(f"{place}: option {key!r} = {first['input']!r}: {first['msg']}") from None
        except TypeError as error:
            raise UserError(f"{place}: {error}") from None

    def build(self, name: str, *args: Any, **options: Any) -> Any:
        """Call the component `name`, after checking its name."""
        return self.get(name)(*args, **options)

    def _model(self, name: str, where: str) -> type[BaseModel]:
        component = self.get(name, where)
        if name not in self._models:
            hints = typing.get_type_hints(component.__init__ if inspect.isclass(component) else component)
            fields: dict[str, Any] = {
                key: (hints[key], parameter.default)
                for key, parameter in inspect.signature(component).parameters.items()
                if parameter.kind is parameter.KEYWORD_ONLY and key not in self._given
            }
            self._models[name] = create_model(f"{name}_options", __config__=ConfigDict(extra="forbid"), **fields)
        return self._models[name]
