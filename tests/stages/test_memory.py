"""What a training holds in memory of its clips: samples or features once."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from helpers import noise, write_fan

from asdcli.stages import features
from asdcli.stages.features import ClipData
from asdcli.stages.selection import select
from asdcli.stages.train import training_view
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

CLIPS, SAMPLES = 40, 80_000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("memory")
    for index in range(CLIPS):
        name = f"section_{index % 2:02d}_source_train_normal_{index:04d}_a.wav"
        write_fan(root / "data" / "dcase2022" / "dev_data" / "raw", name, noise(SAMPLES, seed=index))
    return root


@pytest.mark.parametrize(
    ("recipe", "held"),  # bytes
    [("arcface_ensemble", CLIPS * SAMPLES * 2), ("baseline_ae", CLIPS * (1 + SAMPLES // 512) * 128 * 4)],
)
def test_samples_or_features_are_held_once(root: Path, recipe: str, held: int) -> None:
    chosen = select(Workspace(root), Ui(), recipe=recipe, profile="smoke", device="cpu")
    features.run(chosen)
    member = chosen.members[0]
    method = chosen.method(member, "fan")
    training_view(chosen, method, ClipData(chosen, method, ("fan",)))  # what is imported counts once
    tracemalloc.start()
    try:
        data = ClipData(chosen, method, ("fan",))
        view = training_view(chosen, method, data)
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(view.clips) == len(data.clips)  # whose stores are still open
    assert held <= now <= peak < 1.3 * held
    mapped = Path("/proc/self/maps").read_text()
    assert "samples.bin" not in mapped
    assert ".f32" not in mapped


def test_samples_of_some_clips_are_theirs(root: Path) -> None:
    chosen = select(Workspace(root), Ui(), recipe="arcface_ensemble", profile="smoke", device="cpu")
    data = ClipData(chosen, chosen.method(chosen.members[0], "fan"), ("fan",))
    rows = np.array([7, 0, 39])
    samples, lengths = data.waveforms(rows)
    names = [int(Path(path).stem.split("_")[-2]) for path in data.clips.path[rows]]
    assert lengths.tolist() == [SAMPLES] * 3
    assert samples.dtype == np.int16
    np.testing.assert_array_equal(samples, np.concatenate([noise(SAMPLES, seed=name)[:, 0] for name in names]))
