"""Recipes: a published system as data, and its resolution for one machine and member.

A recipe is a folder with `recipe.yaml` and, optionally, `<machine>.yaml` overlays that hold only what differs. What a
machine and member run is the base laid over with, in this order: the edition's overlay, the member's overlay, the
machine's file, what that says of the member, the profile, what the profile says of the member.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from asdcli.errors import UserError, did_you_mean, few, shown, unknown
from asdcli.recipe.schema import Fusion, Header, Method, Phase, Published, Strict, Validation
from asdcli.recipe.yamlfile import KeyPath, Sourced, load_yaml

_SHIPPED = Path(__file__).parents[1] / "recipes"
# A wheel holds them inside the package; a checkout, as an editable install sees it, at its top level.
RECIPES = _SHIPPED if _SHIPPED.is_dir() else Path(__file__).parents[2] / "recipes"


class Recipe:
    """A recipe folder, read and checked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        source = _as_now(load_yaml(folder / "recipe.yaml"))
        head = set(Header.model_fields)
        _refuse_unknown(source, [*Header.model_fields, *Method.model_fields])
        self.header: Header = _validate(Header, source.without(*(set(source.data) - head)), folder)
        self._source = source
        self._base = source.without(*head)
        for member in self.header.members:
            self._check_systems(self.resolve(member=member), member)
        for profile in self.header.profiles:
            _refuse_unknown(self._source.below("profiles", profile, "members"), self.header.members)
            self._check_without(profile)

    @property
    def reference(self) -> str:
        """What `load_recipe` finds it by from any folder: the name of a shipped recipe, the path of another."""
        return self.name if self.folder.parent == RECIPES else str(self.folder)

    def system(self, name: str) -> Fusion:
        """A fusion that the recipe names."""
        if name not in self.header.systems:
            raise unknown(f"system of recipe {self.name}", name, self.header.systems)
        return self.header.systems[name]

    def resolve(
        self, *, member: str, machine: str | None = None, edition: str | None = None, profile: str = "full"
    ) -> Method:
        """What `member` runs for `machine` on `edition` under `profile`."""
        if member not in self.header.members:
            raise unknown(f"member of recipe {self.name}", member, self.header.members)
        if profile != "full" and profile not in self.header.profiles:
            raise unknown(f"profile of recipe {self.name}", profile, ["full", *self.header.profiles])
        layers = [self._source.below("editions", edition or ""), self._source.below("members", member)]
        overlay = self.folder / f"{machine}.yaml"
        if machine and machine != "recipe" and overlay.is_file():
            layers += self._machine_layers(load_yaml(overlay), member)
        layers += _profile_layers(self._source.below("profiles", profile), member)
        merged = self._base
        for layer in map(_as_now, layers):
            _refuse_unknown(layer, Method.model_fields)
            merged = merged.overlaid(layer)
        method: Method = _validate(Method, merged, self.folder)
        method._source = merged
        return method

    def _machine_layers(self, own: Sourced, member: str) -> list[Sourced]:
        """What a machine's file says of all members, then of this one."""
        if not isinstance(own.data.get("members", {}), dict):
            raise UserError(f"{own.place(('members',))}: members is {own.data['members']!r}, no mapping by member.")
        _refuse_unknown(own.below("members"), self.header.members)
        return [own.without("members"), own.below("members", member)]

    def members(self, profile: str = "full") -> tuple[str, ...]:
        """The members that a profile runs: all but those that it is `without`."""
        without = self._without(profile)
        return tuple(name for name in self.header.members if name not in without)

    def _without(self, profile: str) -> Any:
        return self._source.below("profiles", profile).data.get("without", [])

    def _check_without(self, profile: str) -> None:
        """A profile leaves out members that there are, and not all of them."""
        without, where = self._without(profile), self.place("profiles", profile, "without")
        if not isinstance(without, list) or any(name not in self.header.members for name in without):
            known = ", ".join(self.header.members)
            raise UserError(f"{where}: without is {without!r}, no list of members. Known: {known}.")
        if not self.members(profile):
            raise UserError(f"{where}: the profile {profile} leaves no member.")

    def place(self, *path: str) -> str:
        """Where a key of recipe.yaml stands, for messages."""
        return self._source.place(path)

    def _check_systems(self, method: Method, member: str) -> None:
        for name, system in self.header.systems.items():
            if system.detector is not None and system.detector not in method.detectors:
                raise UserError(
                    f"{self.place('systems', name, 'detector')}: '{system.detector}' is no detector of this recipe."
                    f"{did_you_mean(system.detector, method.detectors)} Known: {', '.join(method.detectors)}."
                )
            if system.member is not None and system.member not in self.header.members:
                raise UserError(
                    f"{self.place('systems', name, 'member')}: '{system.member}' is no member of this recipe."
                    f"{did_you_mean(system.member, self.header.members)} Known: {', '.join(self.header.members)}."
                )
            for key in system.weights:
                wanted, _, detector = key.partition("/")
                if wanted not in self.header.members or (wanted == member and detector not in method.detectors):
                    known = [f"{member}/{detector}" for detector in method.detectors]
                    raise UserError(
                        f"{self.place('systems', name, 'weights', key)}: '{key}' is no member/detector of this recipe."
                        f"{did_you_mean(key, known)} Known: {', '.join(known)}."
                    )


def _as_now(layer: Sourced) -> Sourced:
    """Recipes for asd 0.1.0 call the training phases `stages`."""
    return layer.renamed("stages", "phases") if "stages" in layer.data and "phases" not in layer.data else layer


def _profile_layers(profile: Sourced, member: str) -> list[Sourced]:
    """What a profile says of all members, then of this one."""
    return [profile.without("members", "without"), profile.below("members", member)]


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.parent.name for path in RECIPES.glob("*/recipe.yaml"))


def load_recipe(name_or_path: str) -> Recipe:
    """A recipe by its name, or by the path of its folder or of its recipe.yaml.

    Raises UserError that says what there is in place of a recipe.
    """
    path = Path(name_or_path)
    if path.name == "recipe.yaml" and path.is_file():
        return Recipe(path.parent.resolve())
    if (path / "recipe.yaml").is_file():
        return Recipe(path.resolve())
    if name_or_path not in recipe_names():
        if name_or_path and (what := _no_recipe(path)):
            known = ", ".join(recipe_names())
            raise UserError(
                f"{shown(path)} {what}, and no recipe: that is a folder which holds a recipe.yaml. Known: {known}."
            )
        raise unknown("recipe", name_or_path, recipe_names())
    return Recipe(RECIPES / name_or_path)


def _no_recipe(path: Path) -> str:
    """What lies at a path that is no recipe; empty for a plain name that nothing here has."""
    if path.is_dir():
        inside = sorted(shown(each.name) for each in path.iterdir())
        return f"is a folder without recipe.yaml ({few(inside) or 'it is empty'})"
    if path.exists():
        return "is a file" if path.is_file() else "is neither a folder nor a file"
    return "does not exist" if len(path.parts) > 1 else ""


def _refuse_unknown(source: Sourced, known: Iterable[str]) -> None:
    names = list(known)
    for key in source.data:
        if key not in names:
            raise UserError(_unknown_key(source, (key,), names))


def _unknown_key(source: Sourced, path: KeyPath, known: Iterable[str]) -> str:
    names = list(known)
    hint = f"{did_you_mean(path[-1], names)} Known: {', '.join(names)}."
    return f"{source.place(path)}: unknown key '{'.'.join(path)}'.{hint}"


def _validate(schema: type[Strict], source: Sourced, folder: Path) -> Any:
    try:
        return schema.model_validate(source.data, context={"folder": folder})
    except ValidationError as error:
        raise UserError(_sentence(schema, source, error.errors())) from None


def _sentence(schema: type[Strict], source: Sourced, errors: list[Any]) -> str:
    # A misspelt key is two errors, one unknown and one missing: the first says more.
    error = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    path = _key_path(source.data, error["loc"])
    key, where = ".".join(path), source.place(path)
    if error["type"] == "extra_forbidden":
        return _unknown_key(source, path, _siblings(schema, path))
    if error["type"] == "missing":
        return f"{where}: the key '{key}' is missing."
    if error["type"] == "value_error":
        return f"{where}: {key}: {error['ctx']['error']}."
    allowed = [each["msg"] for each in errors if _key_path(source.data, each["loc"]) == path]
    return f"{where}: {key} is {error['input']!r}: {', or '.join(text[0].lower() + text[1:] for text in allowed)}."


def _key_path(data: Any, location: tuple[int | str, ...]) -> KeyPath:
    """The keys of pydantic's location, without the name it appends for each alternative of a union."""
    path: list[str] = []
    for part in location:
        if not isinstance(data, dict | list):
            break
        path.append(str(part))
        data = data.get(part) if isinstance(data, dict) else data[int(part)]
    return tuple(path)


def _siblings(schema: type[Strict], path: KeyPath) -> Iterable[str]:
    """The keys that may stand where the last key of `path` stands."""
    if len(path) == 1:
        return schema.model_fields
    if path[-2] == "validation":
        return Validation.model_fields
    parts: dict[str, type[Strict]] = {"phases": Phase, "systems": Fusion, "published": Published}
    return parts[path[0]].model_fields
