"""The chain in the form of every edition: its tree, its names, its score files, its metrics."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import machine_sound, write_clip

from asdcli.challenge.editions.edition import Edition, edition_names, load_edition
from asdcli.challenge.editions.scorefiles import units
from asdcli.scores.folders import open_score_folder
from asdcli.stages import evaluate, score
from asdcli.stages.selection import select
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace


def write_machine(raw: Path, edition: Edition, set_name: str, machine: str, section: str) -> None:
    """A few clips of one section under the edition's own names."""
    folder, sound = raw / machine, machine_sound(1, 200)
    if not edition.domains:  # 2020
        for index in range(3):
            write_clip(folder / "train" / f"normal_id_{section}_{index:08d}.wav", sound)
            for label in ("normal", "anomaly"):
                number = index + 3 * (label == "anomaly")
                dev, hidden = f"{label}_id_{section}_{index:08d}.wav", f"id_{section}_{number:08d}.wav"
                write_clip(folder / "test" / (dev if set_name == "dev" else hidden), sound)
        return
    for domain in ("source", "target"):
        test = f"{domain}_test" if edition.domain_in_eval_names else "test"
        for index in range(3):
            write_clip(folder / "train" / f"section_{section}_{domain}_train_normal_{index:04d}_spd_1.wav", sound)
            for label in ("normal", "anomaly"):
                number = index + 3 * (label == "anomaly") + 6 * (domain == "target" and test == "test")
                hidden = f"section_{section}_{domain}_test_{number:04d}.wav"
                if not edition.domain_in_eval_names:
                    hidden = f"section_{section}_{number:04d}.wav"
                dev = f"section_{section}_{domain}_test_{label}_{index:04d}_spd_1.wav"
                write_clip(folder / test / (dev if set_name == "dev" else hidden), sound)


@pytest.mark.parametrize("name", edition_names())
def test_the_chain_in_the_form_of_an_edition(name: str, tmp_path: Path) -> None:
    workspace, edition = Workspace(tmp_path), load_edition(name)
    chosen = {}
    for set_name in ("dev", "eval"):
        machine = edition.machines[set_name][0]
        section = edition.sections[set_name][machine][0]
        chosen[set_name] = (machine, section)
        write_machine(workspace.raw(name, set_name), edition, set_name, machine, section)
    selection = select(workspace, Ui(), recipe="baseline_ae", data=name, profile="smoke", device="cpu")
    score.run(selection)
    folder = open_score_folder(workspace, Ui(), score.score_folder(selection, "ae", "mse"), edition)
    for set_name, (machine, section) in chosen.items():
        expected = [unit for unit in units(edition, set_name) if (unit.machine, unit.section) == (machine, section)]
        assert list(folder.scores[set_name]) == expected
        assert list(folder.decisions[set_name]) == (expected if edition.decision_file else [])
        assert sum(len(clips) for clips, _ in folder.read(set_name).values()) == (12 if edition.domains else 6)
    (result,) = evaluate.run(workspace, Ui(), edition, [folder], bootstrap=10, partial=True)
    assert result.evaluation.set_name == "dev"
    assert 0 <= result.evaluation.score <= 1
    assert len(result.evaluation.missing) == len(units(edition, "dev")) - len(folder.scores["dev"])
