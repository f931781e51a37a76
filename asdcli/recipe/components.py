"""From `{name: logmel, n_fft: 1024}` in a recipe to a checked object.

Every registry (front ends, networks, detectors, ...) is a plain dict from name to class or function. Its keyword-only
parameters are what a recipe may set; positional parameters are supplied by the program. So a constructor's signature
is the schema, and nothing is written down twice. In place of a registered name a recipe may give a class or function of
a file beside it (`plugins.py`), to which the same applies.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from asdcli.errors import UserError, did_you_mean
from asdcli.recipe.plugins import Plugin, plain_code

Registry = Mapping[str, Callable[..., Any]]


class Component(BaseModel):
    """A registered thing, or one of a file beside the recipe, and its parameters; a bare string in YAML is a name
    without parameters.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str
    _folder: Path = PrivateAttr(default=Path())  # of the recipe; the context of validation tells it

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    def model_post_init(self, context: Any) -> None:
        if context:
            self._folder = context["folder"]

    @property
    def plugin(self) -> Plugin | None:
        """The file and what it is called there, of a component that is none of asd's own."""
        return Plugin.of(self.name, self._folder)

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

    def __init__(self, message: str, path: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint)
        self.path = path


def lookup(registry: Registry, kind: str, component: Component) -> Callable[..., Any]:
    """The class or function that a component names. Raises ComponentError; a plug-in's file is run."""
    if plugin := component.plugin:
        try:
            return plugin.load(kind)
        except UserError as error:
            raise ComponentError(str(error).removesuffix("."), ("name",), error.hint) from None
    if component.name not in registry:
        hint = did_you_mean(component.name, registry)
        raise ComponentError(f"unknown {kind} '{component.name}'.{hint} Known: {', '.join(registry)}", ("name",))
    return registry[component.name]


def check(registry: Registry, kind: str, component: Component) -> dict[str, Any]:
    """The component's parameters with their types checked against the signature. Raises ComponentError."""
    schema = _schema(component.name, lookup(registry, kind, component))
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


def build(registry: Registry, kind: str, component: Component, *supplied: Any) -> Any:
    """Check the component and call it with what the program supplies and what the recipe sets."""
    params = check(registry, kind, component)
    try:
        built = lookup(registry, kind, component)(*supplied, **params)
    except ValueError as error:
        raise UserError(f"{kind} {component.name}: {error}") from error
    if plugin := component.plugin:
        plugin.check_built(kind, built)
    return built


def code_digest(registry: Registry, component: Component) -> str:
    """A hash of the code that defines a component: its file, without comments, docstrings and layout; of a plug-in the
    local modules it imports, too, none of which is run.
    """
    if plugin := component.plugin:
        return plugin.digest()
    return _file_digest(inspect.getsourcefile(inspect.unwrap(registry[component.name])) or "")


@cache
def _file_digest(file: str) -> str:
    return hashlib.sha256(plain_code(Path(file)).encode()).hexdigest()[:20]


@cache
def _schema(name: str, target: Callable[..., Any]) -> type[BaseModel]:
    settable = [p for p in inspect.signature(target).parameters.values() if p.kind is p.KEYWORD_ONLY]
    try:
        hints = get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except NameError as error:
        raise ComponentError(f"{name}: a type of its parameters is not known where it stands: {error}") from None
    if untyped := [parameter.name for parameter in settable if parameter.name not in hints]:
        raise ComponentError(f"{name}: its parameter '{untyped[0]}' needs a type, such as {untyped[0]}: int")
    fields: dict[str, Any] = {
        parameter.name: (hints[parameter.name], ... if parameter.default is parameter.empty else parameter.default)
        for parameter in settable
    }
    return create_model(getattr(target, "__name__", "component"), __base__=Checked, **fields)
