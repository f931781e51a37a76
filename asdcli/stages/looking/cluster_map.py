"""`asd plot clusters`: a machine's clips in the plane, by the classes that a network has learnt of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from asdcli.audio.clips import ClipTable
from asdcli.detection.bank import clip_vectors
from asdcli.errors import UserError
from asdcli.stages import embed
from asdcli.stages.embed import load_embedded
from asdcli.stages.runs import find_runs
from asdcli.stages.selection import Selection
from asdcli.stages.train import run_labels
from asdcli.training.labels import CLASS

Projection = Literal["pca", "umap"]


@dataclass(frozen=True)
class ClusterMap:
    """The clips of one machine.

    points: their places, `[clips, 2]`; classes: what each training clip was learnt as, `[clips]`, empty for others;
    silhouette: the mean over training clips of how much nearer a clip is to its own class than to the next one, -1 to 1
    (Rousseeuw 1987), by cosine distances of whole embeddings; None for a single class.
    """

    member: str
    machine: str
    projection: Projection
    clips: ClipTable
    points: np.ndarray
    classes: np.ndarray
    silhouette: float | None

    @property
    def names(self) -> list[str]:
        return sorted({name for name in self.classes.tolist() if name})


def run(selection: Selection, projection: Projection) -> list[ClusterMap]:
    """Embed what is missing; one map per member and machine. Raises UserError where nothing was told apart."""
    embed.run(selection)
    found = []
    for run in find_runs(selection):
        labels = run_labels(selection, run)[CLASS]
        for machine in (name for name in run.machines if name in selection.machines):
            embedded = load_embedded(selection, run.member, machine)
            vectors = clip_vectors(embedded.embeddings, "plot clusters")
            is_train = embedded.clips.split == "train"
            numbers = np.where(is_train, labels.numbers(embedded.clips), -1)
            classes = np.array([labels.names[number] if number >= 0 else "" for number in numbers])
            points = _projected(vectors, is_train, projection)
            silhouette = _silhouette(vectors[numbers >= 0], numbers[numbers >= 0])
            found.append(ClusterMap(run.member, machine, projection, embedded.clips, points, classes, silhouette))
    return found


def _projected(vectors: np.ndarray, is_train: np.ndarray, projection: Projection) -> np.ndarray:
    """`[clips, size]` to `[clips, 2]`, by what training clips tell."""
    if projection == "umap":
        try:
            from umap import UMAP
        except ImportError as error:
            raise UserError("UMAP is not installed.", "pip install 'asdcli[plots]', or --projection pca") from error
        reducer = UMAP(metric="cosine", random_state=0, n_neighbors=min(15, int(is_train.sum()) - 1))
    else:
        from sklearn.decomposition import PCA

        reducer = PCA(2)
    reducer.fit(vectors[is_train])
    return np.asarray(reducer.transform(vectors))


def _silhouette(vectors: np.ndarray, numbers: np.ndarray) -> float | None:
    from sklearn.metrics import silhouette_score

    if not 1 < len(set(numbers.tolist())) < len(numbers):
        return None
    return float(silhouette_score(vectors, numbers, metric="cosine"))
