"""The chain on real clips, small. Skipped where they are not at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from asdcli.challenge.editions.edition import load_edition
from asdcli.download.link import link_tree, summary
from asdcli.scores.folders import open_score_folder
from asdcli.stages import evaluate, score
from asdcli.stages.selection import select
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace


@pytest.mark.real
def test_the_chain_runs_on_real_clips_of_2020(real_dir: Path, tmp_path: Path) -> None:
    workspace, edition = Workspace(tmp_path / "root"), load_edition("dcase2020")
    link_tree(workspace, edition, real_dir / "dcase2020")
    assert {(row.machine, row.train) for row in summary(workspace, Ui(), edition)} == {("ToyCar", 360), ("slider", 55)}
    selection = select(workspace, Ui(), recipe="baseline_ae", profile="smoke", machines=["slider"], device="cpu")
    score.run(selection)
    folder = open_score_folder(workspace, Ui(), score.score_folder(selection, "ae", "mahalanobis"), edition)
    (result,) = evaluate.run(workspace, Ui(), edition, [folder], partial=True)
    assert result.evaluation.official_score is None
    assert result.evaluation.machines["slider"].arithmetic["auc"] > 0.7


@pytest.mark.real
@pytest.mark.parametrize("channel", [0, 7, "mean", "difference"])
def test_eight_channels_with_an_explicit_choice(real_dir: Path, tmp_path: Path, channel: int | str) -> None:
    from asdcli.audio.clips import scan_clips
    from asdcli.audio.packing import build_store

    raw = tmp_path / "raw" / "fan" / "train"
    raw.mkdir(parents=True)
    for path in sorted((real_dir / "multichannel").glob("*.wav")):
        (raw / path.name).symlink_to(path)
    clips, _ = scan_clips(tmp_path / "raw", load_edition("mimii", own=True), "dev")
    store = build_store(tmp_path / "raw", clips, tmp_path / "store")
    assert store.channels == 8
    assert 0 < abs(store.waveform(0, channel)).max() < 2
