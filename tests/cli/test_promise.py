"""The three lines that the README begins with, on an edition from a (local) server; only the profile is small."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile
from helpers import RATE, machine_sound, readme_commands, tree_bytes
from server import Server, make_zip, official_files, running

from asdcli.challenge.editions.edition import Edition, load_edition
from asdcli.challenge.editions.scorefiles import read_values, units
from asdcli.challenge.editions.truth import truth_from_clips, write_truth

MACHINE = "fan"


@pytest.fixture
def server() -> Iterator[Server]:
    yield from running()


def recordings(names: dict[str, bytes]) -> dict[str, bytes]:
    """The same files, the clips as short recordings: each section hums at its own pitch."""
    made = dict(names)
    for seed, name in enumerate(names):
        if name.endswith(".wav"):
            pitch = 200 + 150 * int(name.partition("section_")[2][:2])
            wav = io.BytesIO()
            soundfile.write(wav, machine_sound(seed, pitch, 1.3, knock="anomaly" in name), RATE, format="WAV")
            made[name] = wav.getvalue()
    return made


def official_truth(folder: Path, edition: Edition) -> bytes:
    """The evaluator's repository as a zip: a truth of every clip of the evaluation set."""
    rows = [
        (
            unit.machine,
            unit.section,
            f"section_{unit.section}_{index:04d}.wav",
            index % 2,
            ("source", "target")[index // 2 % 2],
        )
        for unit in units(edition, "eval")
        for index in range(200)
    ]
    write_truth(folder, edition, truth_from_clips(rows))
    return make_zip({f"evaluator-HEAD/{name}": data for name, data in tree_bytes(folder).items()})


def test_download_train_ensemble(server: Server, asd: Callable, tmp_path: Path) -> None:
    edition = load_edition("dcase2022")
    for part in ("dev", "train", "eval"):
        archive = edition.downloads[part]
        files = recordings(official_files(edition, part, MACHINE, most=1))
        server.records[archive.record][archive.zips[MACHINE]] = make_zip(files)
    server.pages["/Kota-Dohi/dcase2022_evaluator/zip/HEAD"] = official_truth(tmp_path / "official", edition)

    download, train, ensemble = (shlex.split(command)[1:] for command in readme_commands()[0])
    assert (download[0], train[0], ensemble[0]) == ("download", "train", "ensemble")
    asd(*download, "--machine", MACHINE, ASD_MIRROR=server.url)
    asd(*train, "--profile", "smoke")
    done = json.loads(asd(*ensemble, "--step", "0.5", "--profile", "smoke", "--json").stdout)

    folder = tmp_path / "asd_work" / "ensembles" / "arcface_ensemble@smoke" / "dcase2022"
    for part, sections in (("dev", edition.sections["dev"]), ("eval", edition.sections["eval"])):
        for section in sections[MACHINE]:
            for kind in ("anomaly_score", "decision_result"):
                (path,) = (folder / part).glob(f"{kind}_{MACHINE}_section_{section}*.csv")
                clips, values = read_values(path)
                assert len(clips) == len(values) > 0
    assert done, "what was searched"
