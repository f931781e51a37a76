"""Classes made of clusters: how many, of which clips, and what a run keeps of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import toys
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage

from asdcli.audio.clips import ClipTable
from asdcli.recipe.schema import Clustering
from asdcli.training.clusters import clustered_labels, clusters
from asdcli.training.labels import CLASS, LabelSets, label_sets

HOW = Clustering()


def groups(sizes: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around as many directions as there are sizes, and which one each is of."""
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(len(sizes)), sizes)
    return np.eye(8)[of] + 0.05 * rng.standard_normal((len(of), 8)), of


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    return len(set(zip(one.tolist(), other.tolist(), strict=True))) == len(set(one)) == len(set(other))


@pytest.mark.parametrize("count", [4, "silhouette"])
def test_groups_that_stand_apart_are_found(count: object) -> None:
    vectors, of = groups([12, 7, 20, 5])
    assert same_partition(clusters(vectors, count, HOW), of)  # type: ignore[arg-type]


@given(clips=st.integers(3, 30), count=st.integers(2, 12), seed=st.integers(0, 1000))
def test_clusters_are_those_of_scipy(clips: int, count: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).standard_normal((clips, 4))
    expected = fcluster(linkage(vectors, "average", "cosine"), min(count, clips), "maxclust")
    found = clusters(vectors, count, HOW)
    assert same_partition(found, expected)
    assert list(dict.fromkeys(found.tolist())) == list(range(len(set(found))))  # numbered as they appear


def test_few_clips_and_clips_that_are_the_same_are_one_class_unless_told() -> None:
    assert set(clusters(np.ones((9, 3)), "silhouette", HOW)) == {0}
    assert set(clusters(np.eye(3)[:2], "silhouette", HOW)) == {0}
    assert len(set(clusters(np.eye(3)[:2], 5, HOW))) == 2
    assert set(clusters(np.eye(3), 1, HOW)) == {0}
    assert len(set(clusters(np.eye(3), "silhouette", Clustering(most=2)))) == 2


@pytest.fixture
def table() -> ClipTable:
    """Twelve clips by turns of fan, which has attributes, and of valve, which has none."""
    known = ({"spd": "1"}, {}, {"spd": "2"}, {})
    return toys.sounds([10] * 12, machines=("fan", "valve"), attributes=known).clips


def test_only_machines_without_attributes_are_parted(table: ClipTable) -> None:
    sets = label_sets(table, ["attributes"])
    vectors = np.eye(3)[np.arange(12) // 4]
    made = clustered_labels(sets, table, vectors, {"fan": 2, "valve": 3}, HOW)
    before, after = sets[CLASS], made[CLASS]
    is_fan = table.machine == "fan"
    fans = [name for name in before.names if name.startswith("fan")]
    assert list(after.names) == [*fans, "valve 01 cluster 1", "valve 01 cluster 2", "valve 01 cluster 3"]
    assert same_partition(after.numbers(table)[is_fan], before.numbers(table)[is_fan])
    assert same_partition(after.numbers(table)[~is_fan], np.arange(12)[~is_fan] // 4)
    assert {name: made[name] for name in made if name != CLASS} == {name: sets[name] for name in sets if name != CLASS}


def test_a_run_keeps_them_and_other_clips_are_of_none(table: ClipTable) -> None:
    made = clustered_labels(
        label_sets(table, ["attributes"]), table, np.eye(12), {"fan": 2, "valve": "silhouette"}, HOW
    )
    again = LabelSets.from_json(json.loads(json.dumps(made.to_json())))
    assert again == made
    others = toys.sounds([10] * 14, machines=("fan", "valve"), attributes=({"spd": "1"}, {}, {"spd": "2"}, {})).clips
    numbers = again[CLASS].numbers(others)
    np.testing.assert_array_equal(numbers[:12], made[CLASS].numbers(table))
    assert numbers[13] == -1  # a clip of valve that was not there
