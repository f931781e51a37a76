"""Shares of the systems in a fusion: given, read from a file, or still to be found; as data and as a file.

Users know them as the weights of an ensemble (`--weights`, `weights.yaml`); in the code, weights are those of networks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import TypeAdapter

from asdcli.errors import UserError, unknown
from asdcli.recipe.schema import Norm
from asdcli.recipe.yamlfile import Sourced, load_yaml
from asdcli.scores.aligned import NORMS
from asdcli.workspace.files import write_atomic

FILE = "weights.yaml"
FINEST = 0.001  # step of a search; sums of whole scores are exact down to there (see `fuse.whole`)


@dataclass(frozen=True)
class Shares:
    """Shares by system: `common` to all machines, and the own ones of single machines, which replace them there.

    A system that is not named has no share. oracle: chosen with the labels of the development set.
    """

    common: Mapping[str, float]
    machines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    oracle: bool = False

    def vector(self, names: Sequence[str], machine: str = "") -> list[float]:
        """Shares `[systems]` of the named systems for a machine."""
        shares = self.machines.get(machine, self.common)
        return [float(shares.get(name, 0.0)) for name in names]

    def used(self) -> list[str]:
        """The systems that have any share anywhere."""
        everywhere = (self.common, *self.machines.values())
        return list(dict.fromkeys(name for shares in everywhere for name, share in shares.items() if share > 0))

    def check(self, names: Sequence[str]) -> None:
        """Raise UserError when a share is negative or not finite, all are 0, or a system is not there."""
        for shares in (self.common, *self.machines.values()):
            for name, share in shares.items():
                if not 0 <= share < math.inf:
                    raise UserError(f"The weight of {name} is {share}; a weight is a number of at least 0.")
            if not any(shares.values()):
                raise UserError("All weights are 0.")
        for name in self.used():
            if name not in names:
                raise unknown("system", name, names)


@dataclass(frozen=True)
class Grid:
    """Shares to be searched for in steps of `step`; with `per_machine` those of each machine as well."""

    step: float = 0.1
    per_machine: bool = False

    def __post_init__(self) -> None:
        if not FINEST <= self.step <= 1 or abs(self.steps * self.step - 1) > 1e-6:
            raise UserError(
                f"1 is no whole number of steps of {self.step:g}, from {FINEST} up.", "A step is 0.1, 0.05, 0.25, ..."
            )

    @property
    def steps(self) -> int:
        """Number of steps from 0 to 1."""
        return round(1 / self.step)


@dataclass(frozen=True)
class Best:
    """Equal shares for so many systems: the best ones by their score on the development set, which takes its labels, or
    those with the smallest domain gap (`scores/domain_gap.py`), which takes none.

    With `per_machine` those of each machine as well.
    """

    count: int
    per_machine: bool = False
    by: Literal["labels", "domain_gap"] = "labels"


Choice = Shares | Grid | Best | None
"""How the shares of a fusion are chosen; None is equal shares for whichever systems there are."""

_NAMES: dict[type[Shares | Grid | Best], str] = {Shares: "weights", Grid: "grid", Best: "best"}


def choice_to_dict(choice: Choice) -> dict[str, Any] | None:
    """As JSON can hold it; `choice_from_dict` is the way back."""
    return None if choice is None else {_NAMES[type(choice)]: asdict(choice)}


def choice_from_dict(document: Mapping[str, Any] | None) -> Choice:
    """Raises ValueError for what is none."""
    for kind, name in _NAMES.items():
        if document and name in document:
            return TypeAdapter(kind).validate_python(document[name])
    return None


def read_shares(path: Path) -> tuple[Shares, Norm | None]:
    """The shares and the normalisation they belong to, of a file that `asd ensemble` or anybody wrote.

    Needed is `weights:` with a number for each system; `machines:` holds own shares of single machines in the same
    form. Raises UserError naming the line of what is not of this form.
    """
    source = load_yaml(path)
    if not isinstance(source.data.get("weights"), dict):
        raise UserError(f"{path} holds no weights.", "It needs 'weights:' with a number for each system below it.")
    common = _numbers(source, "weights")
    machines = source.data.get("machines") or {}
    if not isinstance(machines, dict) or not all(isinstance(shares, dict) for shares in machines.values()):
        raise UserError(f"{source.place(('machines',))}: machines holds weights by machine, a number for each system.")
    own = {machine: _numbers(source, "machines", machine) for machine in machines}
    norm = source.data.get("normalisation")
    if norm is not None and norm not in NORMS:
        raise unknown(f"normalisation in {source.place(('normalisation',))}", str(norm), NORMS)
    oracle = source.data.get("oracle", False)
    if not isinstance(oracle, bool):
        raise UserError(f"{source.place(('oracle',))}: oracle is true or false.")
    return Shares(common, own, oracle), norm


def _numbers(source: Sourced, *path: str) -> dict[str, float]:
    numbers = source.below(*path).data
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise UserError(f"{source.place((*path, name))}: the weight of {name} is no number of at least 0.")
    if not any(numbers.values()):
        raise UserError(f"{source.place(path)}: all weights are 0.")
    return numbers


def write_shares(folder: Path, shares: Shares, names: Sequence[str], about: Mapping[str, Any]) -> None:
    """Write `weights.yaml`: what it is `about`, then each system's share, for all machines and for single ones."""
    document = {**about, "oracle": shares.oracle, "weights": relative(shares.vector(names), names)}
    if shares.machines:
        document["machines"] = {m: relative(shares.vector(names, m), names) for m in shares.machines}
    write_atomic(folder / FILE, yaml.safe_dump(document, sort_keys=False).encode())


def relative(vector: Sequence[float], names: Sequence[str]) -> dict[str, float]:
    """Shares by system, relative to their sum."""
    return {name: share / sum(vector) for name, share in zip(names, vector, strict=True)}
