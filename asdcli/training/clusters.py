"""Classes for machines whose clips have no attributes: clusters of what a network has learnt of them from the others.

AITHU's DCASE 2024 report calls them pseudo-attributes: agglomerative clustering of the embeddings of each such machine,
and the network is trained again on the classes that come of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from asdcli.audio.clips import ClipTable
from asdcli.recipe.schema import Clustering
from asdcli.training.labels import CLASS, LabelSets

Count = int | Literal["silhouette"]


def clustered_labels(
    sets: LabelSets, clips: ClipTable, vectors: np.ndarray, counts: Mapping[str, Count], how: Clustering
) -> LabelSets:
    """The sets with each class of a machine without attributes parted into clusters.

    Args:
        sets: those whose `class` the network has learnt.
        clips: training clips.
        vectors: their embeddings, `[clips, size]`.
        counts: how many clusters, by machine; `silhouette` chooses the number.
        how: of the clustering.
    """
    classes = sets[CLASS]
    numbers, told = classes.numbers(clips), dict[str, str]()
    bare = {machine for machine in set(clips.machine.tolist()) if not any(clips.attributes[clips.machine == machine])}
    parted = {int(number) for number in np.unique(numbers) if clips.machine[numbers == number][0] in bare}
    for number in sorted(parted):
        rows = np.flatnonzero(numbers == number)
        found = clusters(vectors[rows], counts[str(clips.machine[rows[0]])], how)
        for path, cluster in zip(clips.path[rows].tolist(), found.tolist(), strict=True):
            told[path] = f"{classes.names[number].rstrip()} cluster {cluster + 1}"
    kept = [name for number, name in enumerate(classes.names) if number not in parted]
    names = (*kept, *sorted(set(told.values()), key=_in_order))
    return LabelSets({**sets, CLASS: replace(classes, names=names, told=told)})


def clusters(vectors: np.ndarray, count: Count, how: Clustering) -> np.ndarray:
    """The cluster of each vector, `[clips, size]` to `[clips]`, numbered in the order in which they first appear.

    With `silhouette` so many, up to `how.most`, that the mean silhouette is largest (Rousseeuw 1987); with fewer
    than three vectors, or none of them apart, one. There are never more clusters than vectors.
    """
    from sklearn.metrics import pairwise_distances, silhouette_score

    distances = pairwise_distances(vectors.astype(np.float64), metric=how.metric)
    if count != "silhouette":
        return _cut(distances, min(count, len(vectors)), how)
    if len(vectors) < 3 or not distances.any():
        return np.zeros(len(vectors), dtype=int)
    trials = [_cut(distances, number, how) for number in range(2, min(how.most, len(vectors) - 1) + 1)]
    return max(trials, key=lambda found: silhouette_score(distances, found, metric="precomputed"))


def _cut(distances: np.ndarray, count: int, how: Clustering) -> np.ndarray:
    from sklearn.cluster import AgglomerativeClustering

    if count < 2:
        return np.zeros(len(distances), dtype=int)
    found = AgglomerativeClustering(count, metric="precomputed", linkage=how.linkage).fit_predict(distances)
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    return first.argsort().argsort()[inverse]


def _in_order(name: str) -> tuple[str, int]:
    stem, _, number = name.rpartition(" ")
    return stem, int(number)
