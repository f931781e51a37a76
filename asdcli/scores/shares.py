"""Weights of the systems in a fusion: given, read from a weights file, or still to be found; as data and as a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from asdcli.errors import UserError, unknown
from asdcli.recipe.yamlfile import Sourced, load_yaml
from asdcli.scores.aligned import NORMS, Norm
from asdcli.workspace.files import write_atomic

FILE = "weights.yaml"


@dataclass(frozen=True)
class Weights:
    """Weights by system: `common` to all machines, and the own ones of single machines, which replace them there.

    A system that is not named has no weight. oracle: chosen with the labels of the development set.
    """

    common: Mapping[str, float]
    machines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    oracle: bool = False

    def vector(self, names: Sequence[str], machine: str = "") -> list[float]:
        """Weights `[systems]` of the named systems for a machine."""
        weights = self.machines.get(machine, self.common)
        return [float(weights.get(name, 0.0)) for name in names]

    def used(self) -> list[str]:
        """The systems that have any weight anywhere."""
        everywhere = (self.common, *self.machines.values())
        return list(dict.fromkeys(name for weights in everywhere for name, weight in weights.items() if weight > 0))

    def check(self, names: Sequence[str]) -> None:
        """Raise UserError when a weight is negative or not finite, all are 0, or a system is not there."""
        for weights in (self.common, *self.machines.values()):
            for name, weight in weights.items():
                if not 0 <= weight < math.inf:
                    raise UserError(f"The weight of {name} is {weight}; a weight is a number of at least 0.")
            if not any(weights.values()):
                raise UserError("All weights are 0.")
        for name in self.used():
            if name not in names:
                raise unknown("system", name, names)


@dataclass(frozen=True)
class Grid:
    """Weights to be searched for in steps of `step`; with `per_machine` those of each machine as well."""

    step: float = 0.1
    per_machine: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.step <= 1 or abs(self.steps * self.step - 1) > 1e-6:
            raise UserError(f"1 is no whole number of steps of {self.step:g}.", "--step 0.1")

    @property
    def steps(self) -> int:
        """Number of steps from 0 to 1."""
        return round(1 / self.step)


@dataclass(frozen=True)
class Best:
    """Equal weights for so many systems: the best ones by their score on the development set."""

    count: int


Choice = Weights | Grid | Best | None
"""How the weights of a fusion are chosen; None is equal weights for whichever systems there are."""


def choice_to_dict(choice: Choice) -> dict[str, Any] | None:
    """As JSON can hold it; `choice_from_dict` is the way back."""
    return None if choice is None else {type(choice).__name__.lower(): asdict(choice)}


def choice_from_dict(document: Mapping[str, Any] | None) -> Choice:
    for kind in (Weights, Grid, Best):
        if document and kind.__name__.lower() in document:
            return kind(**document[kind.__name__.lower()])
    return None


def read_weights(path: Path) -> tuple[Weights, Norm | None]:
    """The weights and the normalisation they belong to, of a file that `asd ensemble` or anybody wrote.

    Needed is `weights:` with a number for each system; `machines:` holds own weights of single machines in the same
    form. Raises UserError naming the line of what is not of this form.
    """
    source = load_yaml(path)
    if not isinstance(source.data.get("weights"), dict):
        raise UserError(f"{path} holds no weights.", "It needs 'weights:' with a number for each system below it.")
    common = _numbers(source, "weights")
    machines = source.data.get("machines") or {}
    if not isinstance(machines, dict):
        raise UserError(f"{source.place(('machines',))}: machines holds weights by machine.")
    own = {machine: _numbers(source, "machines", machine) for machine in machines}
    norm = source.data.get("normalisation")
    if norm is not None and norm not in NORMS:
        raise unknown(f"normalisation in {source.place(('normalisation',))}", str(norm), NORMS)
    return Weights(common, own, bool(source.data.get("oracle", False))), norm


def _numbers(source: Sourced, *path: str) -> dict[str, float]:
    numbers = source.below(*path).data
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise UserError(f"{source.place((*path, name))}: the weight of {name} is no number of at least 0.")
    if not any(numbers.values()):
        raise UserError(f"{source.place(path)}: all weights are 0.")
    return numbers


def write_weights(folder: Path, weights: Weights, names: Sequence[str], about: Mapping[str, Any]) -> None:
    """Write `weights.yaml`: what it is `about`, then each system's share, for all machines and for single ones."""
    document = {**about, "oracle": weights.oracle, "weights": shares(weights.vector(names), names)}
    if weights.machines:
        document["machines"] = {m: shares(weights.vector(names, m), names) for m in weights.machines}
    write_atomic(folder / FILE, yaml.safe_dump(document, sort_keys=False).encode())


def shares(vector: Sequence[float], names: Sequence[str]) -> dict[str, float]:
    """Weights by system, relative to their sum."""
    return {name: weight / sum(vector) for name, weight in zip(names, vector, strict=True)}
