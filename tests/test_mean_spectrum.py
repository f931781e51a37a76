"""The recipe that trains nothing: what it makes of clips, and what it hears on real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import write_clip
from hypothesis import given
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf
from sklearn.preprocessing import StandardScaler

from asdcli.audio.frontends.logmel import LogMel
from asdcli.challenge.editions.edition import load_edition
from asdcli.download.link import link_tree
from asdcli.scores.folders import open_score_folder
from asdcli.stages import embed, evaluate, score, train
from asdcli.stages.embed import load_embedded
from asdcli.stages.predicting.predict import Listener, Options, narrowest_half, predictor_of
from asdcli.stages.selection import select
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace


def test_a_clip_of_any_length_is_its_mean_spectrum(tmp_path: Path) -> None:
    """Against the front end and scikit-learn called by hand."""
    rng = np.random.default_rng(0)
    raw = tmp_path / "data" / "mine" / "dev_data" / "raw" / "press"
    sounds = [rng.uniform(-0.5, 0.5, 4000 + 900 * number) for number in range(8)]
    for number, sound in enumerate(sounds):
        write_clip(raw / ("test" if number > 5 else "train") / f"{number}.wav", sound, subtype="FLOAT")
    selection = select(Workspace(tmp_path), Ui(), device="cpu")
    assert (selection.label, selection.method("spectrum", "press").phases["frozen"].steps) == ("mean_spectrum", 0)
    score.run(selection)
    embedded = load_embedded(selection, "spectrum", "press")
    order = [int(Path(path).stem) for path in embedded.clips.path]
    waves = [torch.from_numpy(sounds[number]).float()[None] for number in order]
    expected = np.stack([LogMel()(wave)[0].mean(1).numpy() for wave in waves])
    np.testing.assert_allclose(embedded.embeddings["embedding"], expected, atol=1e-3)

    is_train, method = embedded.clips.split == "train", selection.method("spectrum", "press")
    scaler = StandardScaler().fit(expected[is_train])
    distances = np.sqrt(LedoitWolf().fit(scaler.transform(expected[is_train])).mahalanobis(scaler.transform(expected)))
    found = embedded.fitted(method, method.detectors["mahalanobis"], "00").detector.score(embedded.embeddings)
    np.testing.assert_allclose(in_deviations(found), in_deviations(distances), atol=1e-3)


def in_deviations(values: np.ndarray) -> np.ndarray:
    """Scores of a detector of domains are in its own units."""
    return (values - values.mean()) / values.std()


def test_the_largest_share_is_that_of_the_band_where_something_was_added(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    raw, pitches = tmp_path / "data" / "mine" / "dev_data" / "raw" / "press", (300.0, 1500.0, 6000.0)
    for number in range(40):
        write_clip(raw / "train" / f"{number}.wav", 0.1 * rng.standard_normal(16_000))
    for pitch in pitches:
        tone = 0.02 * np.sin(2 * np.pi * pitch * np.arange(16_000) / 16_000)
        write_clip(raw / "test" / f"{pitch:05.0f}.wav", 0.1 * rng.standard_normal(16_000) + tone)
    selection = select(Workspace(tmp_path), Ui(), device="cpu")
    embed.run(selection)
    embedded, method = load_embedded(selection, "spectrum", "press"), selection.method("spectrum", "press")
    fitted = embedded.fitted(method, method.detectors["mahalanobis"], "00")
    shares = fitted.detector.shares(embedded.take(np.flatnonzero(embedded.clips.split == "test")))
    bands = [int(LogMel().bank[:, round(pitch / 16_000 * 1024)].argmax()) for pitch in pitches]
    np.testing.assert_allclose(shares.argmax(1), bands, atol=1)
    np.testing.assert_allclose(shares.sum(1), 1.0)

    train.run(selection)
    heard = Listener(predictor_of(selection), torch.device("cpu"), Options())
    for pitch in pitches:
        found = heard.hear(raw / "test" / f"{pitch:05.0f}.wav")
        assert found.half is not None
        assert found.half[0] * 0.9 < pitch < found.half[1] * 1.1
        assert found.half[1] < 1.5 * found.half[0] + 100


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12))
def test_the_narrowest_half_is_that_of_all_runs(shares: list[int]) -> None:
    runs = [(first, last) for first in range(len(shares)) for last in range(first, len(shares))]
    holding = [run for run in runs if 2 * sum(shares[run[0] : run[1] + 1]) >= sum(shares)]
    best = min(holding, key=lambda run: (run[1] - run[0], -sum(shares[run[0] : run[1] + 1])))
    assert narrowest_half(np.array(shares, dtype=float)) == best


@pytest.mark.real
def test_the_real_clips_of_toy_cars_are_told_apart_in_seconds(real_dir: Path, tmp_path: Path) -> None:
    """AUC .931 .959 .917 .998 when this was written; slider has three anomalies only."""
    workspace, edition = Workspace(tmp_path / "root"), load_edition("dcase2020")
    link_tree(workspace, edition, real_dir / "dcase2020")
    selection = select(workspace, Ui(), recipe="mean_spectrum", device="cpu")
    score.run(selection)
    folder = open_score_folder(workspace, Ui(), score.score_folder(selection, "spectrum", "mahalanobis"), edition)
    (result,) = evaluate.run(workspace, Ui(), edition, [folder], partial=True)
    sections = result.evaluation.machines["ToyCar"].sections
    found = [sections[name].metrics["auc"] for name in sorted(sections)]
    assert all(auc > least for auc, least in zip(found, (0.92, 0.95, 0.91, 0.99), strict=True))
    assert sum(found) / 4 > 0.95
