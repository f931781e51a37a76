"""Recipes: a published system as data, and its resolution for one machine and member.

A recipe is a folder with `recipe.yaml` and, optionally, `<machine>.yaml` overlays that hold only what differs. What a
machine and member run is the base laid over with, in this order: the edition's overlay, the member's overlay, the
machine's file, the profile.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from asdcli.components import Component
from asdcli.errors import UserError, did_you_mean, unknown
from asdcli.yamlfile import KeyPath, Sourced, load_yaml

RECIPES = Path(__file__).parent / "recipes"
Channel = int | Literal["mean", "difference"]
Overlay = dict[str, Any]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Validation(Strict):
    """What part of the training examples only measures.

    Splitting by `window` puts windows of one clip on both sides: the official baselines do so, and the validation loss
    is too good for it. `last` takes the end of the list, as Keras does; `random` draws with the run's seed.
    """

    fraction: float = Field(gt=0, lt=1)
    unit: Literal["clip", "window"] = "clip"
    pick: Literal["random", "last"] = "random"


class Stage(Strict):
    """One training phase: its task, its data, how long, and how the weights move."""

    task: Component
    clips: Literal["all", "source", "target"] = "all"
    sampler: Component = Component(name="shuffle")
    epochs: int | None = Field(None, ge=1)
    steps: int | None = Field(None, ge=1)
    batch_size: int = Field(ge=1)
    accumulate: int = Field(1, ge=1)
    optimizer: Component
    schedule: Component = Component(name="constant")
    precision: Literal["float32", "bfloat16"] = "float32"
    freeze: tuple[str, ...] = ()
    gradient_clip_norm: float | None = Field(None, gt=0)
    validation: Validation | None = None
    patience: int | None = Field(None, ge=1)
    keep: Literal["last", "best"] = "last"

    @model_validator(mode="after")
    def _check(self) -> Stage:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("a stage has either epochs or steps")
        if self.validation is None and (self.patience is not None or self.keep == "best"):
            raise ValueError("patience and keep: best need a validation part")
        return self


class Detector(Component):
    """A detector of the registry; `per` says whether each section or each machine has a memory of its own."""

    per: Literal["section", "machine"] = "section"


class Method(Strict):
    """All that one machine and member run: the hyper-parameter table of the paper, resolved."""

    scope: Literal["machine", "all"] = "machine"
    channel: Channel
    frontend: Component
    view: Component
    model: Component
    stages: dict[str, Stage] = Field(min_length=1)
    detectors: dict[str, Detector] = Field(min_length=1)
    threshold: Component = Component(name="gamma")

    def training(self) -> dict[str, Any]:
        """The part that decides the weights, for fingerprints."""
        return self.model_dump(mode="json", exclude={"detectors", "threshold"})


class System(Strict):
    """A named weighting of `member/detector` scores; `oracle` when test labels chose it."""

    weights: dict[str, float] = Field(min_length=1)
    oracle: bool = False


class Published(Strict):
    """Numbers printed by somebody, in fractions: machine to metric to value."""

    edition: str
    set: Literal["dev", "eval"]
    system: str
    source: str
    official_score: float | None = None
    machines: dict[str, dict[str, float]] = {}


class Header(Strict):
    title: str
    cite: tuple[str, ...] = Field(min_length=1)
    edition: str
    notes: str = ""
    members: dict[str, Overlay] = Field(min_length=1)
    systems: dict[str, System] = {}
    editions: dict[str, Overlay] = {}
    profiles: dict[str, Overlay] = {}
    published: tuple[Published, ...] = ()
    submission: dict[str, str | int | None] = {}  # fields of system.description in meta.yaml


class Recipe:
    """A recipe folder, read and checked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        source = load_yaml(folder / "recipe.yaml")
        head = set(Header.model_fields)
        _refuse_unknown(source, head | set(Method.model_fields))
        self.header: Header = _validate(Header, source.without(*(set(source.data) - head)))
        self._source = source
        self._base = source.without(*head)
        for member in self.header.members:
            self._check_systems(self.resolve(member=member), member)

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
        if machine and overlay.is_file():
            layers.append(load_yaml(overlay))
        layers.append(self._source.below("profiles", profile))
        merged = self._base
        for layer in layers:
            _refuse_unknown(layer, set(Method.model_fields))
            merged = merged.overlaid(layer)
        method: Method = _validate(Method, merged)
        return method

    def place(self, *path: str) -> str:
        """Where a key of recipe.yaml stands, for messages."""
        return self._source.place(path) or str(self.folder / "recipe.yaml")

    def _check_systems(self, method: Method, member: str) -> None:
        for name, system in self.header.systems.items():
            for key in system.weights:
                wanted, _, detector = key.partition("/")
                if wanted not in self.header.members or (wanted == member and detector not in method.detectors):
                    raise UserError(
                        f"{self.place('systems', name, 'weights', key)}: '{key}' is no member/detector of this recipe."
                    )


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.parent.name for path in RECIPES.glob("*/recipe.yaml"))


def load_recipe(name_or_path: str) -> Recipe:
    """A recipe by its name, or by the path of its folder or of its recipe.yaml."""
    path = Path(name_or_path)
    if path.name == "recipe.yaml" and path.is_file():
        return Recipe(path.parent.resolve())
    if (path / "recipe.yaml").is_file():
        return Recipe(path.resolve())
    if name_or_path not in recipe_names():
        raise unknown("recipe", name_or_path, recipe_names())
    return Recipe(RECIPES / name_or_path)


def _refuse_unknown(source: Sourced, known: set[str]) -> None:
    for key in source.data:
        if key not in known:
            raise UserError(f"{source.place((key,))}: unknown key '{key}'.{did_you_mean(key, known)}")


def _validate(schema: type[BaseModel], source: Sourced) -> Any:
    try:
        return schema.model_validate(source.data)
    except ValidationError as error:
        first = error.errors()[0]
        path: KeyPath = tuple(str(part) for part in first["loc"])
        raise UserError(_sentence(schema, source.place(path), path, first)) from None


def _sentence(schema: type[BaseModel], place: str, path: KeyPath, error: Any) -> str:
    key, where = ".".join(path), f"{place}: " if place else ""
    if error["type"] == "extra_forbidden":
        return f"{where}unknown key '{key}'.{did_you_mean(path[-1], _siblings(schema, path))}"
    if error["type"] == "missing":
        return f"{where}the key '{key}' is missing."
    if error["type"] == "value_error":
        return f"{where}{key}: {error['ctx']['error']}."
    return f"{where}{key} is {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}."


def _siblings(schema: type[BaseModel], path: KeyPath) -> set[str]:
    names = set(schema.model_fields)
    if path[0] == "stages":
        names = set(Stage.model_fields if len(path) == 3 else Validation.model_fields)
    return names
