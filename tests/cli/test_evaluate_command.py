"""`asd evaluate` over several systems and several seeds: one line each, the difference, and whether it is noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import invoke

from asdcli.challenge.editions.edition import load_edition
from asdcli.challenge.editions.scorefiles import Unit, score_name, write_values
from asdcli.errors import UserError

EDITION = load_edition("dcase2023")
CLIPS = [
    f"section_00_{domain}_test_{label}_{index:04d}.wav"
    for domain in ("source", "target")
    for label in ("normal", "anomaly")
    for index in range(40)
]
ANOMALOUS = np.array(["anomaly" in clip for clip in CLIPS])


@pytest.fixture(autouse=True)
def scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under weak/, as_weak/ and strong/ the scores of two seeds each; `part` has one machine less."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    noise = np.random.default_rng(0).normal(size=(2, len(CLIPS)))
    for number, (name, skill) in enumerate({"weak": 0.5, "as_weak": 0.5, "strong": 2.0}.items()):
        for seed in (0, 1):
            own = np.random.default_rng([number, seed]).normal(size=noise.shape)
            for index, machine in enumerate(("fan", "valve")):
                values = noise[index] + 0.5 * own[index] + skill * ANOMALOUS
                write_values(Path(name) / f"seed_{seed}" / score_name(EDITION, Unit(machine, "00")), CLIPS, values)
    write_values(Path("part") / score_name(EDITION, Unit("fan", "00")), CLIPS, noise[0])


def evaluate(*arguments: str) -> str:
    return invoke("evaluate", *arguments, "--data", "dcase2023", "--bootstrap", "200")


def both(name: str) -> list[str]:
    return [f"{name}/seed_0", f"{name}/seed_1"]


def test_seeds_are_one_system_and_differences_have_a_verdict() -> None:
    document = json.loads(evaluate(*both("weak"), *both("as_weak"), *both("strong"), "--json"))
    assert len(document["results"]) == 6
    first, same, better = document["comparison"]
    scores = [result["official_score"] for result in document["results"]]
    assert [entry["system"] for entry in document["comparison"]] == ["weak", "as_weak", "strong"]
    assert [entry["seeds"] for entry in document["comparison"]] == [2, 2, 2]
    assert (first["difference"], first["beyond_noise"]) == (None, None)
    assert better["score"] == pytest.approx(np.mean(scores[4:]))
    assert better["difference"] == pytest.approx(np.mean(scores[4:]) - np.mean(scores[:2]))
    assert better["difference_ci95"][0] > 0
    assert (same["beyond_noise"], better["beyond_noise"]) == (False, True)


def test_the_table() -> None:
    drawn = evaluate(*both("weak"), *both("strong"))
    assert "seeds" in drawn
    assert "beyond noise" in drawn
    assert drawn.count("Official score") == 0, "with several seeds only the summary is drawn"
    assert "One training of each" not in drawn
    alone = evaluate("weak/seed_0", "strong/seed_0")
    assert alone.count("Official score") == 2
    assert "One training of each: the noise is that of the test clips alone." in alone


def test_other_clips_are_not_compared() -> None:
    document = json.loads(evaluate("weak/seed_0", "part", "--json"))
    assert document["comparison"][1]["difference"] is None
    assert "beyond noise" not in evaluate("weak/seed_0", "part")


def test_one_machine_is_compared_alone() -> None:
    document = json.loads(evaluate("weak/seed_0", "part", "--machine", "fan", "--json"))
    assert list(document["machines"]) == ["fan"]
    assert document["comparison"][1]["difference"] is not None
    with pytest.raises(UserError, match="Known: fan"):
        evaluate("weak/seed_0", "part", "--machine", "valve")
