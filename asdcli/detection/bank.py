"""What detectors learn from and what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from asdcli.errors import UserError

Embeddings = Mapping[str, np.ndarray]  # name -> [clips, ...], as the task's `embed` names them


@dataclass(frozen=True)
class Bank:
    """The normal training clips of one section or machine: embeddings, and per clip its domain and section.

    label: number of each clip's class as in training, `[clips]`; only for detectors that say `needs_labels = True`.
    home: the section whose clips will be scored, in a bank that holds those of others, too.
    """

    embeddings: Embeddings
    domain: np.ndarray
    section: np.ndarray
    label: np.ndarray | None = None
    home: str | None = None

    @property
    def at_home(self) -> np.ndarray:
        """Which clips are of the home section, `[clips]`; all of them where none is, or none was named."""
        here = np.asarray(self.section == self.home)
        return here if here.any() else np.ones_like(here, dtype=bool)

    def take(self, rows: np.ndarray) -> Bank:
        """The bank of some of the clips."""
        label = None if self.label is None else self.label[rows]
        return Bank(take(self.embeddings, rows), self.domain[rows], self.section[rows], label, self.home)

    def refuse_empty(self, detector: str) -> None:
        """An error that says which detector has nothing to learn from."""
        if not len(self.domain):
            raise UserError(
                f"Detector {detector} has no training clips to learn from.",
                "Each machine that is scored needs some in its train folder: add them, or take others with --machine.",
            )


class Detector(Protocol):
    """Larger scores are more anomalous."""

    def fit(self, bank: Bank) -> None: ...

    def score(self, embeddings: Embeddings) -> np.ndarray:
        """`[clips]` float64."""
        ...

    def score_bank(self) -> np.ndarray:
        """Scores of the bank's own clips, each against a bank without it: `[clips]` float64."""
        ...


def take(embeddings: Embeddings, rows: np.ndarray) -> Embeddings:
    """The embeddings of some of the clips."""
    return {name: values[rows] for name, values in embeddings.items()}


def joined(parts: Sequence[Embeddings]) -> dict[str, np.ndarray]:
    """The embeddings of all clips of some parts (at least one), which have the same names, one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def need(embeddings: Embeddings, name: str, detector: str) -> np.ndarray:
    """One named embedding, or an error that says which detector wants it and what there is."""
    if name not in embeddings:
        raise UserError(
            f"Detector {detector} needs the embedding '{name}', but the task of this recipe makes: "
            f"{', '.join(embeddings)}."
        )
    return embeddings[name]


def clip_vectors(embeddings: Embeddings, detector: str) -> np.ndarray:
    """The embedding of each clip, or the mean over its pieces: `[clips, size]`, float64."""
    values = need(embeddings, "embedding", detector).astype(np.float64)
    return values.mean(1) if values.ndim == 3 else values


def unit_vectors(values: np.ndarray) -> np.ndarray:
    """`[..., size]` divided by their lengths; vectors of zeros stay as they are."""
    return values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-12)


def symmetric_size(packed: int) -> int:
    """n of an n x n symmetric matrix whose upper triangle has `packed` entries."""
    return int((np.sqrt(8 * packed + 1) - 1) / 2 + 0.5)


def unpack_symmetric(packed: np.ndarray) -> np.ndarray:
    """`[..., n (n + 1) / 2]` upper triangles to `[..., n, n]` symmetric matrices."""
    n = symmetric_size(packed.shape[-1])
    full = np.zeros((*packed.shape[:-1], n, n), packed.dtype)
    rows, columns = np.triu_indices(n)
    full[..., rows, columns] = packed
    full[..., columns, rows] = packed
    return full


def packed_trace_weights(matrix: np.ndarray) -> np.ndarray:
    """w such that `packed @ w` is trace(matrix M) for the symmetric M behind `packed`."""
    rows, columns = np.triu_indices(len(matrix))
    return matrix[rows, columns] * np.where(rows == columns, 1.0, 2.0)
