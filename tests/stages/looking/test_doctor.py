"""`asd doctor --data` names every odd clip, packed or not; a linked tree that is not there is named with its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import noise, write_clip

from asdcli.audio.clips import scan_clips
from asdcli.audio.packing import build_store
from asdcli.challenge.editions.edition import load_edition
from asdcli.download.link import link_tree
from asdcli.stages.looking.doctor import examine, examine_clips
from asdcli.workspace.places import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    for i in range(8):
        write_clip(tmp_path / f"own/fan/train/{i}.wav", noise(1600, seed=i) // 3)
    for name in ("a", "b", "c"):
        write_clip(tmp_path / f"own/fan/test/normal/{name}.wav", np.zeros(1600))
    write_clip(tmp_path / "own/fan/test/anomaly/leak.wav", noise(1600, seed=0) // 3)
    write_clip(tmp_path / "own/fan/train/anomaly/x.wav", noise(1600, seed=9) // 3)
    workspace = Workspace(tmp_path / "root")
    link_tree(workspace, load_edition("own_data", own=True), tmp_path / "own")
    return workspace


@pytest.mark.parametrize("packed", [True, False])
def test_all_odd_clips_are_named(workspace: Workspace, packed: bool) -> None:
    edition = load_edition("own_data", own=True)
    if packed:
        clips, _ = scan_clips(workspace.raw("own_data", "dev"), edition, "dev")
        build_store(workspace.raw("own_data", "dev"), clips, workspace.store("own_data", "dev", "fan"))
    found = {finding.found for finding in examine_clips(workspace, edition)}
    assert found == {
        "1 clip is among the training clips and labelled anomalous: fan/train/anomaly/x.wav",
        "3 clips are silent: fan/test/normal/a.wav, fan/test/normal/b.wav, fan/test/normal/c.wav",
        "2 clips have the same samples under both labels: fan/test/anomaly/leak.wav, fan/train/0.wav",
        "1 clip has the samples of a training clip: fan/test/anomaly/leak.wav",
    }
    assert (workspace.root / "store").exists() == packed


def test_clips_that_cannot_be_read_are_all_named(workspace: Workspace, tmp_path: Path) -> None:
    for i in range(5):
        (tmp_path / f"own/fan/train/{i}.wav").write_bytes(b"")
    problems = [f for f in examine_clips(workspace, load_edition("own_data", own=True)) if f.state == "problem"]
    assert len(problems) == 5
    assert all(finding.found.endswith("is empty (0 bytes).") for finding in problems)


def test_what_is_right_is_said(tmp_path: Path) -> None:
    for i in range(4):
        write_clip(tmp_path / f"own/fan/train/{i}.wav", noise(1600, seed=i) // 3)
    workspace, edition = Workspace(tmp_path / "root"), load_edition("own_data", own=True)
    link_tree(workspace, edition, tmp_path / "own")
    assert [(f.state, f.found) for f in examine_clips(workspace, edition)] == [("ok", "4 clips, none of them odd")]


def test_an_unplugged_tree_is_a_problem(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "own").rename(tmp_path / "elsewhere")
    found = [finding.found for finding in examine(workspace) if finding.state == "problem"]
    assert f"dev is linked to {tmp_path / 'own'}, and that is not there now" in found
