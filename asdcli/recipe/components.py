"""From `{name: logmel, n_fft: 1024}` in a recipe to a checked object.

Every registry (front ends, networks, detectors, ...) is a plain dict from name to class or function. Its keyword-only
parameters are what a recipe may set; positional parameters are supplied by the program. So a constructor's signature
is the schema, and nothing is written down twice.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from asdcli.errors import UserError, did_you_mean


class Component(BaseModel):
    """A registered thing and its parameters; a bare string in YAML is a name without parameters."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def params(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Checked(BaseModel):
    """What a recipe may set: no unknown keys, no infinite numbers, and no `yes` where a number belongs."""

    model_config = ConfigDict(
        extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True, protected_namespaces=()
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_flag(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and bool not in (annotation, *get_args(annotation)):  # pydantic takes True for 1
            raise PydanticCustomError("flag", "Input should not be a yes or no (YAML reads on and off so, too)")
        return value


class ComponentError(UserError):
    """A component that cannot be built; `path` is the key below the component, `()` for the component itself."""

    def __init__(self, message: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


def check(registry: Mapping[str, Callable[..., Any]], kind: str, component: Component) -> dict[str, Any]:
    """The component's parameters with their types checked against the signature. Raises ComponentError."""
    if component.name not in registry:
        raise ComponentError(
            f"unknown {kind} '{component.name}'.{did_you_mean(component.name, registry)} Known: {', '.join(registry)}",
            ("name",),
        )
    schema = _schema(registry[component.name])
    for key in component.params:
        if key not in schema.model_fields:
            allowed = ", ".join(schema.model_fields) or "none"
            raise ComponentError(
                f"{component.name} has no '{key}'.{did_you_mean(key, schema.model_fields)} It takes: {allowed}",
                (key,),
            )
    try:
        checked = schema(**component.params)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        if first["type"] == "missing":
            raise ComponentError(f"{component.name} needs '{key}'") from None
        raise ComponentError(f"{first['input']!r} is not possible here: {first['msg']}", (key,)) from None
    return {key: getattr(checked, key) for key in schema.model_fields}


def build(registry: Mapping[str, Callable[..., Any]], kind: str, component: Component, *supplied: Any) -> Any:
    """Check the component and call it with what the program supplies and what the recipe sets."""
    params = check(registry, kind, component)
    try:
        return registry[component.name](*supplied, **params)
    except ValueError as error:
        raise UserError(f"{kind} {component.name}: {error}") from error


def code_digest(target: Callable[..., Any]) -> str:
    """A hash of the file that defines a component: its code, without comments, docstrings and layout."""
    return _file_digest(inspect.getsourcefile(inspect.unwrap(target)) or "")


@cache
def _file_digest(file: str) -> str:
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:20]


def _schema(target: Callable[..., Any]) -> type[BaseModel]:
    hints = get_type_hints(target.__init__ if inspect.isclass(target) else target)
    fields: dict[str, Any] = {
        name: (hints[name], ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in inspect.signature(target).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    return create_model(getattr(target, "__name__", "component"), __base__=Checked, **fields)
