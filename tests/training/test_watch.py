from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import toys
from sklearn.metrics import roc_auc_score

from asdcli.nn.backbones import BACKBONES
from asdcli.training.watch import Watch, rows_to_watch


def labelled(labels: list[int], split: str = "test") -> toys.Clips:
    data = toys.clips([6] * len(labels), seed=4)
    table = replace(data.clips, label=np.array(labels, np.int8), split=np.array([split] * len(labels)))
    return toys.Clips(table, data.features)


@pytest.mark.parametrize(
    ("labels", "count", "rows"),
    [
        ([0, 0, 0, 0, 1, 1], 100, [0, 1, 2, 3, 4, 5]),
        ([0, 0, 0, 0, 1, 1], 4, [0, 3, 4, 5]),
        ([0] * 9 + [1] * 9, 6, [0, 4, 8, 9, 13, 17]),
        ([0, 1, -1], 2, [0, 1]),
        ([0, 0, -1], 9, []),
        ([0, 1], 0, []),
    ],
)
def test_both_labels_are_watched_evenly(labels: list[int], count: int, rows: list[int]) -> None:
    assert rows_to_watch(labelled(labels).clips, count).tolist() == rows


@pytest.mark.parametrize(
    ("classes", "rows"),
    [
        ([0, 1, 0, 1, 0, 1], [0, 1, 2, 3, 4, 5]),
        ([0, -1, 0, 1, -1, 1], [0, 2, 3, 5]),
        ([-1, -1, -1, 1, 0, 1], []),
    ],
)
def test_clips_of_a_class_that_was_never_trained_have_no_loss_to_watch(classes: list[int], rows: list[int]) -> None:
    clips = labelled([0, 0, 0, 1, 1, 1]).clips
    assert rows_to_watch(clips, 6, np.array(classes)).tolist() == rows


def test_training_clips_are_never_watched() -> None:
    assert len(rows_to_watch(labelled([0, 1, 0, 1], split="train").clips, 4)) == 0


def test_the_loss_of_each_clip() -> None:
    data, task = labelled([0, 1, 0, 1, 1]), toys.task()
    view = toys.view(data)
    seen = Watch(view).look(task)
    errors = [
        float((task.model(view.clip_examples(row)) - view.clip_examples(row)).square().mean().detach())
        for row in range(len(data.clips))
    ]
    normal, anomalous = np.mean([errors[0], errors[2]]), np.mean([errors[1], errors[3], errors[4]])
    assert seen["normal_loss"] == pytest.approx(normal, rel=1e-5)
    assert seen["anomalous_loss"] == pytest.approx(anomalous, rel=1e-5)
    assert seen["separability"] == pytest.approx(anomalous - normal, rel=1e-3)
    assert seen["auc"] == pytest.approx(roc_auc_score(data.clips.label, errors))


def test_looking_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with dropout, batch norm and networks that draw from torch's own generator."""
    monkeypatch.setitem(BACKBONES, "noisy", toys.Noisy)
    kept = {}
    for name, watch in {"alone": None, "watched": Watch(toys.view(labelled([0, 1, 1, 0])))}.items():
        chosen = toys.method(toys.phase(), toys.phase(epochs=2), model="noisy")
        kept[name] = toys.train_all(tmp_path / name, chosen, watch=watch)
    assert toys.same(dict(kept["alone"]), dict(kept["watched"]))
    log = toys.log_of(tmp_path / "watched")
    assert [(entry["phase"], "separability" in entry) for entry in log] == [("phase1", True)] * 3 + [
        ("phase2", True)
    ] * 2
    assert not any("auc" in entry for entry in toys.log_of(tmp_path / "alone"))
