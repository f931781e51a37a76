"""Fusing folders of score files: ours with training scores, or anybody's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asdcli.challenge.editions.edition import load_edition
from asdcli.challenge.editions.scorefiles import Unit, read_values, score_name, write_values
from asdcli.errors import UserError
from asdcli.recipe.components import Component
from asdcli.scores.folders import ScoreFolder, open_score_folder
from asdcli.scores.shares import Grid, Shares
from asdcli.stages import ensemble
from asdcli.ui import Ui
from asdcli.workspace.made import Made
from asdcli.workspace.places import Workspace

EDITION = load_edition("dcase2023")
UNIT = Unit("fan", "00")
CLIPS = [
    f"section_00_{d}_test_{y}_{i:04d}.wav"
    for d in ("source", "target")
    for y in ("normal", "anomaly")
    for i in range(5)
]
TRAIN = [f"section_00_source_train_normal_{i:04d}.wav" for i in range(40)]


class Listener(Ui):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def make_system(
    root: Path, name: str, seed: int, scale: float = 1.0, train: bool = True, clips: list[str] = CLIPS
) -> Path:
    rng = np.random.default_rng(seed)
    folder = root / name
    write_values(folder / "dev" / score_name(EDITION, UNIT), clips, scale * rng.gamma(2.0, size=len(clips)))
    if train:
        write_values(folder / "train" / score_name(EDITION, UNIT), TRAIN, scale * rng.gamma(2.0, size=len(TRAIN)))
    return folder


def opened(root: Path, *folders: Path) -> list[ScoreFolder]:
    return [open_score_folder(Workspace(root), Ui(), folder, EDITION) for folder in folders]


def test_training_statistics_normalise(tmp_path: Path) -> None:
    folders = opened(tmp_path, make_system(tmp_path, "a", 1), make_system(tmp_path, "b", 2, scale=1000.0))
    fused = ensemble.run(Ui(), EDITION, folders, None, "train", tmp_path / "out")
    names, values = read_values(fused.out / "dev" / score_name(EDITION, UNIT))
    expected = np.zeros(len(CLIPS))
    for folder in folders:
        train, test = folder.read_train()[UNIT][1], folder.read("dev")[UNIT][1]
        expected += (test - train.mean()) / train.std() / 2
    assert names == CLIPS
    np.testing.assert_allclose(values, expected)
    assert fused.shares.common == {"a": 0.5, "b": 0.5}


def test_decisions_come_from_the_fused_training_scores(tmp_path: Path) -> None:
    folders = opened(tmp_path, make_system(tmp_path, "a", 1), make_system(tmp_path, "b", 2))
    out = ensemble.run(Ui(), EDITION, folders, None, "train", tmp_path / "out").out
    _, train = read_values(out / "train" / score_name(EDITION, UNIT))
    _, scores = read_values(out / "dev" / score_name(EDITION, UNIT))
    _, decisions = read_values(out / "dev" / "decision_result_fan_section_00_test.csv")
    assert scores[decisions == 0].max() < scores[decisions == 1].min()
    assert np.quantile(train, 0.7) < scores[decisions == 1].min() < train.max() + train.std()


def rule(name: str, quantile: float) -> Component:
    return Component.model_validate({"name": name, "quantile": quantile})


def decided(out: Path) -> list[int]:
    return read_values(out / "dev" / "decision_result_fan_section_00_test.csv")[1].tolist()


@pytest.mark.parametrize("norm", ["train", "rank"])
def test_the_recipe_says_where_the_threshold_of_fused_scores_lies(tmp_path: Path, norm: ensemble.Norm) -> None:
    folders = opened(tmp_path, make_system(tmp_path, "a", 1), make_system(tmp_path, "b", 2))
    for quantile in (0.3, 0.8):
        rules = {(name, "fan"): rule("quantile", quantile) for name in "ab"}
        out = ensemble.run(Ui(), EDITION, folders, None, norm, tmp_path / "out", rules).out
        train = read_values(out / "train" / score_name(EDITION, UNIT))[1]
        scores = read_values(out / "dev" / score_name(EDITION, UNIT))[1]
        assert decided(out) == (scores > np.quantile(train, quantile)).tolist()


def test_of_ranks_the_gamma_rule_is_the_quantile(tmp_path: Path) -> None:
    folders = opened(tmp_path, make_system(tmp_path, "a", 1), make_system(tmp_path, "b", 2))
    rules = {(name, "fan"): rule("gamma", 0.5) for name in "ab"}
    out = ensemble.run(Ui(), EDITION, folders, None, "rank", tmp_path / "out", rules).out
    train = read_values(out / "train" / score_name(EDITION, UNIT))[1]
    scores = read_values(out / "dev" / score_name(EDITION, UNIT))[1]
    assert decided(out) == (scores > np.quantile(train, 0.5)).tolist()


def test_where_rules_differ_that_of_the_largest_weight_is_taken_and_named(tmp_path: Path) -> None:
    folders = opened(tmp_path, make_system(tmp_path, "a", 1), make_system(tmp_path, "b", 2))
    listener = Listener()
    rules = {("a", "fan"): Component(name="gamma"), ("b", "fan"): rule("quantile", 0.3)}
    out = ensemble.run(listener, EDITION, folders, Shares({"a": 1, "b": 2}), "train", tmp_path / "out", rules).out
    train = read_values(out / "train" / score_name(EDITION, UNIT))[1]
    scores = read_values(out / "dev" / score_name(EDITION, UNIT))[1]
    assert decided(out) == (scores > np.quantile(train, 0.3)).tolist()
    assert listener.warnings == [
        "The systems' thresholds differ; the fusion decides by that of b (quantile, quantile 0.3)."
    ]
    agreeing = Listener()
    rules = {("a", "fan"): Component(name="gamma"), ("b", "fan"): rule("gamma", 0.9)}
    ensemble.run(agreeing, EDITION, folders, None, "train", tmp_path / "out", rules)
    assert agreeing.warnings == [], "the same rule, once with its parameter written out"


def test_a_fusion_of_one_system_decides_as_that_system_does(tmp_path: Path) -> None:
    a, b = make_system(tmp_path, "a", 1), make_system(tmp_path, "b", 2)
    own = np.random.default_rng(0).integers(0, 2, len(CLIPS))
    write_values(a / "dev" / "decision_result_fan_section_00_test.csv", CLIPS, own)
    folders = opened(tmp_path, a, b)
    for shares in (Shares({"a": 1}), Shares({"b": 1}, {"fan": {"a": 2, "b": 0}})):
        assert decided(ensemble.run(Ui(), EDITION, folders, shares, "train", tmp_path / "out").out) == own.tolist()


def test_clips_in_another_order_are_matched_by_name(tmp_path: Path) -> None:
    a = make_system(tmp_path, "a", 1)
    backwards = tmp_path / "b"
    names, values = read_values(a / "dev" / score_name(EDITION, UNIT))
    write_values(backwards / "dev" / score_name(EDITION, UNIT), names[::-1], values[::-1])
    folders = opened(tmp_path, a, backwards)
    out = ensemble.run(Ui(), EDITION, folders, None, "none", tmp_path / "out").out
    np.testing.assert_allclose(read_values(out / "dev" / score_name(EDITION, UNIT))[1], values)


def test_other_clips_are_an_error(tmp_path: Path) -> None:
    a = make_system(tmp_path, "a", 1)
    b = make_system(tmp_path, "b", 1, clips=[*CLIPS[:-1], CLIPS[-1].replace("0004", "0009")])
    folders = opened(tmp_path, a, b)
    with pytest.raises(UserError, match="not those of the other systems"):
        ensemble.run(Ui(), EDITION, folders, None, "none", tmp_path / "out")


def test_training_scores_are_needed_for_the_default(tmp_path: Path) -> None:
    folders = opened(tmp_path, make_system(tmp_path, "a", 1), make_system(tmp_path, "b", 2, train=False))
    with pytest.raises(UserError, match="no scores of training clips") as raised:
        ensemble.run(Ui(), EDITION, folders, None, "train", tmp_path / "out")
    assert "--norm none" in raised.value.hint


def test_test_statistics_are_marked_as_against_the_rules(tmp_path: Path) -> None:
    folders = opened(tmp_path, make_system(tmp_path, "a", 1), make_system(tmp_path, "b", 2))
    listener = Listener()
    ensemble.run(listener, EDITION, folders, None, "test", tmp_path / "out")
    assert any("against the challenge rules" in text for text in listener.warnings)


def test_without_training_scores_and_decisions_only_scores_are_written(tmp_path: Path) -> None:
    folders = opened(tmp_path, make_system(tmp_path, "a", 1, train=False), make_system(tmp_path, "b", 2, train=False))
    listener = Listener()
    out = ensemble.run(listener, EDITION, folders, None, "none", tmp_path / "out").out
    assert [path.name for path in (out / "dev").iterdir()] == [score_name(EDITION, UNIT)]
    assert any("only scores are written" in text for text in listener.warnings)


def test_decision_files_vote_where_training_scores_are_missing(tmp_path: Path) -> None:
    folders = [make_system(tmp_path, name, 1, train=False) for name in ("a", "b", "c")]
    votes = np.random.default_rng(0).integers(0, 2, (3, len(CLIPS)))
    for folder, vote in zip(folders, votes, strict=True):
        write_values(folder / "dev" / "decision_result_fan_section_00_test.csv", CLIPS, vote)
    systems = opened(tmp_path, *folders)
    out = ensemble.run(Ui(), EDITION, systems, None, "none", tmp_path / "out").out
    decided = read_values(out / "dev" / "decision_result_fan_section_00_test.csv")[1]
    np.testing.assert_array_equal(decided, (votes.sum(0) >= 2).astype(int))


def test_a_second_fusion_writes_nothing_and_a_changed_input_is_noticed(tmp_path: Path) -> None:
    a, b = make_system(tmp_path, "a", 1), make_system(tmp_path, "b", 2)
    folders = opened(tmp_path, a, b)
    out = ensemble.run(Ui(), EDITION, folders, None, "train", tmp_path / "out").out
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    ensemble.run(Ui(), EDITION, folders, None, "train", out)
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    make_system(tmp_path, "b", 3)
    ensemble.run(Ui(), EDITION, folders, None, "train", out)
    assert before != {path: path.stat().st_mtime_ns for path in out.rglob("*")}


def test_a_smaller_fusion_leaves_no_files_of_a_larger_one_and_touches_no_others(tmp_path: Path) -> None:
    a, b = make_system(tmp_path, "a", 1), make_system(tmp_path, "b", 2)
    valve = score_name(EDITION, Unit("valve", "00"))
    for folder in (a, b):
        write_values(folder / "dev" / valve, CLIPS, range(len(CLIPS)))
        write_values(folder / "train" / valve, TRAIN, range(len(TRAIN)))
    folders = opened(tmp_path, a, b)
    out = ensemble.run(Ui(), EDITION, folders, None, "train", tmp_path / "out").out
    assert (out / "dev" / valve).exists()
    (out / "dev" / "notes.csv").write_text("mine")
    for folder in (a, b):
        (folder / "dev" / valve).unlink()
        (folder / "train" / valve).unlink()
    folders = opened(tmp_path, a, b)
    listener = Listener()
    ensemble.run(listener, EDITION, folders, None, "train", out)
    assert any("held a fusion of more" in text for text in listener.warnings)
    assert not (out / "dev" / valve).exists()
    assert not (out / "train" / valve).exists()
    assert (out / "dev" / "notes.csv").exists()


def test_training_clips_of_a_section_in_both_sets_are_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with own recordings, where a section has a development and an evaluation set."""
    folders = [make_system(tmp_path, name, seed) for seed, name in enumerate("ab")]
    for folder in folders:
        write_values(folder / "eval" / score_name(EDITION, UNIT), CLIPS, range(len(CLIPS)))
    written: list[Path] = []

    def counted(path: Path, *values: Any) -> None:
        written.append(path)
        write_values(path, *values)

    monkeypatch.setattr(ensemble, "write_values", counted)
    out = ensemble.run(Ui(), EDITION, opened(tmp_path, *folders), None, "train", tmp_path / "out").out
    files = Made(out).read()["all"]["files"]
    assert sorted(files) == sorted({"weights.yaml", *(str(path.relative_to(out)) for path in written)})
    assert len(written) == len(set(written)) == 5


def test_ranks_among_the_training_clips(tmp_path: Path) -> None:
    folders = opened(tmp_path, make_system(tmp_path, "a", 1), make_system(tmp_path, "b", 2, scale=1000.0))
    out = ensemble.run(Ui(), EDITION, folders, None, "rank", tmp_path / "out").out
    below, inside = np.zeros(len(CLIPS)), np.ones(len(CLIPS), dtype=bool)
    for folder in folders:
        train, test = folder.read_train()[UNIT][1], folder.read("dev")[UNIT][1]
        below += (train < test[:, None]).sum(1) / 2
        inside &= (train.min() <= test) & (test <= train.max())
    values = read_values(out / "dev" / score_name(EDITION, UNIT))[1]
    assert np.abs(values - below)[inside].max() <= 0.5  # between the middles of the ranks of two training clips
    _, decisions = read_values(out / "dev" / "decision_result_fan_section_00_test.csv")
    _, train = read_values(out / "train" / score_name(EDITION, UNIT))
    assert decisions.tolist() == (values > np.quantile(train, 0.9)).tolist()


def test_test_ranks_are_those_of_the_test_clips(tmp_path: Path) -> None:
    folders = opened(tmp_path, make_system(tmp_path, "a", 1, train=False), make_system(tmp_path, "b", 2, train=False))
    listener = Listener()
    out = ensemble.run(listener, EDITION, folders, None, "test-rank", tmp_path / "out").out
    ranks = [folder.read("dev")[UNIT][1].argsort().argsort() + 0.5 for folder in folders]
    np.testing.assert_array_equal(read_values(out / "dev" / score_name(EDITION, UNIT))[1], sum(ranks) / 2)
    assert any("against the challenge rules" in text for text in listener.warnings)


@pytest.mark.parametrize("norm", ["train", "test", "rank", "test-rank"])
def test_each_set_is_normalised_by_its_own_sections(tmp_path: Path, norm: ensemble.Norm) -> None:
    vacuum = Unit("Vacuum", "00")
    clips = [f"section_00_{index:04d}.wav" for index in range(10)]
    folders = [make_system(tmp_path, name, seed) for seed, name in enumerate("ab")]
    for seed, folder in enumerate(folders):
        values = np.random.default_rng(seed).random(50)
        write_values(folder / "eval" / score_name(EDITION, vacuum), clips, values[:10])
        write_values(folder / "train" / score_name(EDITION, vacuum), TRAIN, values[10:])
    fused = ensemble.run(Ui(), EDITION, opened(tmp_path, *folders), None, norm, tmp_path / "out")
    assert fused.sets == ("dev", "eval")
    assert fused.machines == ("Vacuum", "fan")
    written = {path.parent.name for path in fused.out.rglob(score_name(EDITION, vacuum))}
    assert written == {"eval", "train"}


def test_weights_of_single_machines_replace_the_common_ones(tmp_path: Path) -> None:
    folders = [make_system(tmp_path, name, seed) for seed, name in enumerate("ab")]
    valve = Unit("valve", "00")
    for seed, folder in enumerate(folders):
        write_values(folder / "dev" / score_name(EDITION, valve), CLIPS, np.random.default_rng(seed).random(len(CLIPS)))
    systems = opened(tmp_path, *folders)
    shares = Shares({"a": 1}, {"valve": {"a": 1, "b": 3}})
    out = ensemble.run(Ui(), EDITION, systems, shares, "none", tmp_path / "out").out
    (a, b) = (system.read("dev") for system in systems)
    np.testing.assert_array_equal(read_values(out / "dev" / score_name(EDITION, UNIT))[1], a[UNIT][1])
    mixed = a[valve][1] / 4 + 3 * b[valve][1] / 4
    np.testing.assert_allclose(read_values(out / "dev" / score_name(EDITION, valve))[1], mixed)


@pytest.mark.parametrize(
    ("shares", "sentence"),
    [
        ({"a": 1, "c": 1}, "Unknown system 'c'"),
        ({"a": -1, "b": 2}, "weight of a is -1"),
        ({"a": float("nan")}, "weight of a is nan"),
        ({"a": 0, "b": 0}, "All weights are 0"),
    ],
)
def test_impossible_weights(tmp_path: Path, shares: dict[str, float], sentence: str) -> None:
    folders = opened(tmp_path, make_system(tmp_path, "a", 1), make_system(tmp_path, "b", 2))
    with pytest.raises(UserError, match=sentence):
        ensemble.run(Ui(), EDITION, folders, Shares(shares), "none", tmp_path / "out")


def test_a_system_without_weight_need_not_fit(tmp_path: Path) -> None:
    other = make_system(tmp_path, "b", 1, clips=CLIPS[:-1])
    folders = opened(tmp_path, make_system(tmp_path, "a", 1), other)
    fused = ensemble.run(Ui(), EDITION, folders, Shares({"a": 1}), "train", tmp_path / "out")
    assert fused.worth is None
    assert "not those of the other systems" in fused.not_evaluated
    assert fused.shares.common == {"a": 1.0, "b": 0.0}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("norm", ["train", "rank", "test", "test-rank"])
@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e200, 1e306])
def test_scores_of_any_size_are_fused_as_others_are(tmp_path: Path, scale: float, norm: ensemble.Norm) -> None:
    same = [make_system(tmp_path, "a", 1), make_system(tmp_path, "b", 2)]
    large = [same[0], make_system(tmp_path, "large", 2, scale)]
    values = []
    for folders in (same, large):
        out = ensemble.run(
            Ui(), EDITION, opened(tmp_path, *folders), Grid(0.25), norm, tmp_path / folders[1].name / "f"
        )
        values.append(read_values(out.out / "dev" / score_name(EDITION, UNIT))[1])
    np.testing.assert_allclose(*values, rtol=1e-9)


@pytest.mark.filterwarnings("error")
def test_a_system_whose_scores_are_too_large_to_be_summed_is_named(tmp_path: Path) -> None:
    folders = opened(tmp_path, make_system(tmp_path, "a", 1), make_system(tmp_path, "large", 2, 1e306))
    with pytest.raises(UserError, match="scores of large for fan section 00 cannot be fused") as raised:
        ensemble.run(Ui(), EDITION, folders, None, "none", tmp_path / "out")
    assert "--norm rank" in raised.value.hint
    folders[1] = opened(tmp_path, make_system(tmp_path, "vast", 2, 1e200))[0]
    assert ensemble.run(Ui(), EDITION, folders, Grid(0.5), "none", tmp_path / "out").worth is not None


@pytest.mark.filterwarnings("error")
def test_training_scores_that_say_nothing_of_the_test_scores(tmp_path: Path) -> None:
    """Training scores of 1e-200 beside test scores of about 1: with deviations of these a score of 1 is 1e200."""
    system = make_system(tmp_path, "a", 1)
    write_values(system / "train" / score_name(EDITION, UNIT), TRAIN, 1e-310 * np.arange(len(TRAIN)))
    folders = opened(tmp_path, system, make_system(tmp_path, "b", 2))
    with pytest.raises(UserError, match="scores of a for fan section 00 cannot be fused"):
        ensemble.run(Ui(), EDITION, folders, None, "train", tmp_path / "out")
