"""Searching for shares on the development set, what they are worth, and their way to the evaluation set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers import tree_bytes
from sklearn.metrics import roc_auc_score

from asdcli.challenge.editions.edition import Edition, load_edition
from asdcli.challenge.editions.scorefiles import Unit, read_values, score_name, write_values
from asdcli.errors import UserError
from asdcli.recipe.schema import Norm
from asdcli.scores.folders import ScoreFolder, open_score_folder
from asdcli.scores.search import best, simplex
from asdcli.scores.shares import Best, Choice, Grid, Shares, choice_from_dict, choice_to_dict, read_shares
from asdcli.scores.weighing import weigh
from asdcli.stages import ensemble
from asdcli.stages.evaluate import run as evaluate
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

UNITS = {
    "dcase2020": [Unit("fan", "00"), Unit("fan", "02"), Unit("ToyCar", "01")],
    "dcase2021": [Unit(m, s, d) for m, s in (("fan", "00"), ("ToyCar", "01")) for d in ("source", "target")],
    "dcase2022": [Unit("fan", "00"), Unit("fan", "01"), Unit("ToyCar", "01")],
    "dcase2023": [Unit("fan", "00"), Unit("ToyCar", "00"), Unit("gearbox", "00")],
    "mill": [Unit("press", "00"), Unit("saw", "00")],  # own data; the saw without domains
}


def clips_of(edition: Edition, unit: Unit, count: int = 8) -> list[str]:
    plain = edition.name == "dcase2020" or unit.machine == "saw"
    domains = (unit.domain,) if unit.domain else ("",) if plain else ("source", "target")
    form = "{label}_id_{section}_{index:08d}.wav" if plain else "section_{section}_{d}_test_{label}_{index:04d}.wav"
    return [
        form.format(section=unit.section, d=domain, label=label, index=index)
        for domain in domains
        for label in ("normal", "anomaly")
        for index in range(count + (label == "normal"))
    ]


def make_systems(root: Path, edition: Edition, names: str = "abc", levels: int = 20) -> list[ScoreFolder]:
    """Score folders of which each is good at one machine."""
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        for unit in UNITS[edition.name]:
            clips = clips_of(edition, unit)
            machines = sorted({unit.machine for unit in UNITS[edition.name]})
            gain = levels / 2 if machines.index(unit.machine) == number % len(machines) else levels / 10
            scores = rng.integers(0, levels, len(clips)) + gain * np.array(["anomaly" in clip for clip in clips])
            write_values(root / name / score_name(edition, unit), clips, scores)
    return opened(root, edition, names)


def opened(root: Path, edition: Edition, names: str) -> list[ScoreFolder]:
    return [open_score_folder(Workspace(root), Ui(), root / name, edition) for name in names]


def run(folders: list[ScoreFolder], edition: Edition, choice: Choice, out: Path, norm: Norm = "none") -> ensemble.Fused:
    return ensemble.run(Ui(), edition, folders, choice, norm, out)


def evaluated(root: Path, edition: Edition, folder: Path) -> float:
    """The score of written files as `asd evaluate` finds it."""
    opened = open_score_folder(Workspace(root), Ui(), folder, edition)
    (result,) = evaluate(Workspace(root), Ui(), edition, [opened], set_name="dev", bootstrap=0, partial=True)
    return result.evaluation.score


@pytest.mark.parametrize("name", UNITS)
@pytest.mark.parametrize("norm", ["none", "test", "test-rank"])
def test_every_number_is_that_of_the_evaluator(tmp_path: Path, name: str, norm: Norm) -> None:
    edition = load_edition(name, own=True)
    folders = make_systems(tmp_path, edition)
    fused = run(folders, edition, Grid(0.25), tmp_path / "grid", norm)
    worth = fused.worth
    assert worth is not None
    assert worth.chosen == pytest.approx(evaluated(tmp_path, edition, fused.out), abs=1e-12)
    for system in folders:
        assert worth.systems[system.name] == pytest.approx(evaluated(tmp_path, edition, system.path), abs=1e-12)
    equal = run(folders, edition, None, tmp_path / "equal", norm)
    assert worth.equal == pytest.approx(evaluated(tmp_path, edition, equal.out), abs=1e-12)
    given = run(folders, edition, Shares({"a": 0.2, "b": 0.5}), tmp_path / "given", norm)
    assert given.worth is not None
    assert given.worth.chosen == pytest.approx(evaluated(tmp_path, edition, given.out), abs=1e-12)


def test_no_point_of_the_grid_is_better_than_the_one_found(tmp_path: Path) -> None:
    edition = load_edition("dcase2022")
    folders = make_systems(tmp_path, edition)
    points = simplex(3, 4)
    scores = []
    for number, point in enumerate(points):
        fused = run(folders, edition, Shares(dict(zip("abc", point.tolist(), strict=True))), tmp_path / f"out{number}")
        scores.append(evaluated(tmp_path, edition, fused.out))
    found = run(folders, edition, Grid(0.25), tmp_path / "grid")
    assert found.shares.common == dict(zip("abc", points[best(np.array(scores), points)] / 4, strict=True))
    assert found.shares.oracle


def test_the_weights_file_says_what_it_is_and_can_be_used_again(tmp_path: Path) -> None:
    edition = load_edition("dcase2022")
    folders = make_systems(tmp_path, edition)
    found = run(folders, edition, Grid(0.2, per_machine=True), tmp_path / "grid", "test")
    document = yaml.safe_load((found.out / "weights.yaml").read_text())
    assert document["edition"] == "dcase2022"
    assert document["normalisation"] == "test"
    assert document["step"] == 0.2
    assert document["oracle"] is True
    assert document["objective"] == pytest.approx(evaluated(tmp_path, edition, found.out), abs=1e-12)
    shares, norm = read_shares(found.out / "weights.yaml")
    assert norm == "test"
    again = run(folders, edition, shares, tmp_path / "again", norm)
    assert tree_bytes(again.out / "dev") == tree_bytes(found.out / "dev")
    assert again.shares == found.shares


def test_weights_of_each_machine_are_the_best_of_that_machine(tmp_path: Path) -> None:
    edition = load_edition("dcase2022")
    folders = make_systems(tmp_path, edition)
    fused = run(folders, edition, Grid(0.25, per_machine=True), tmp_path / "out")
    common = run(folders, edition, Grid(0.25), tmp_path / "common")
    assert fused.shares.machines.keys() == {"fan", "ToyCar"}
    assert fused.shares.common == common.shares.common
    assert fused.worth is not None
    assert common.worth is not None
    assert fused.worth.chosen > common.worth.chosen
    assert fused.worth.held_out == common.worth.held_out
    assert fused.worth.chosen == pytest.approx(evaluated(tmp_path, edition, fused.out), abs=1e-12)
    assert fused.shares.machines["ToyCar"]["a"] > fused.shares.machines["fan"]["a"]  # a is good at the ToyCar


def test_common_weights_go_where_a_machine_has_none_of_its_own(tmp_path: Path) -> None:
    edition = load_edition("dcase2023")
    make_systems(tmp_path, edition)
    vacuum = Unit("Vacuum", "00")
    clips = [f"section_00_{index:04d}.wav" for index in range(20)]
    for number, name in enumerate("abc"):
        write_values(
            tmp_path / name / score_name(edition, vacuum), clips, np.random.default_rng(number).integers(0, 99, 20)
        )
    fused = run(opened(tmp_path, edition, "abc"), edition, Grid(0.25, per_machine=True), tmp_path / "out")
    assert fused.machines == ("ToyCar", "Vacuum", "fan", "gearbox")
    assert fused.shares.machines.keys() == {"ToyCar", "fan", "gearbox"}
    scores = [read_values(tmp_path / name / score_name(edition, vacuum))[1] for name in "abc"]
    expected = sum(fused.shares.common[name] * values for name, values in zip("abc", scores, strict=True))
    np.testing.assert_allclose(read_values(fused.out / "eval" / score_name(edition, vacuum))[1], expected)


def test_one_machine_has_no_held_out_estimate(tmp_path: Path) -> None:
    edition = load_edition("dcase2022")
    folders = make_systems(tmp_path, edition)
    for folder in folders:
        (folder.path / score_name(edition, Unit("ToyCar", "01"))).unlink()
    fused = run(opened(tmp_path, edition, "abc"), edition, Grid(0.5), tmp_path / "out")
    assert fused.worth is not None
    assert fused.worth.held_out is None


def test_a_section_of_one_class_is_left_out_as_the_evaluator_does(tmp_path: Path) -> None:
    edition = load_edition("dcase2022")
    unit = Unit("valve", "02")
    make_systems(tmp_path, edition)
    clips = [f"section_02_source_test_normal_{index:04d}.wav" for index in range(9)]
    for name in "abc":
        write_values(tmp_path / name / score_name(edition, unit), clips, range(9))
    fused = run(opened(tmp_path, edition, "abc"), edition, Grid(0.5), tmp_path / "out")
    assert fused.worth is not None
    assert fused.worth.chosen == pytest.approx(evaluated(tmp_path, edition, fused.out), abs=1e-12)


def test_the_best_systems_share_the_weight(tmp_path: Path) -> None:
    edition = load_edition("dcase2022")
    folders = make_systems(tmp_path, edition, "abcd")
    fused = run(folders, edition, Best(2), tmp_path / "out")
    assert fused.worth is not None
    ordered = sorted(fused.worth.systems, key=lambda name: -fused.worth.systems[name])  # type: ignore[union-attr]
    assert {name for name, share in fused.shares.common.items() if share == 0.5} == set(ordered[:2])
    assert fused.shares.oracle


def test_the_best_of_each_machine_are_chosen_by_that_machine_and_held_out_by_the_others(tmp_path: Path) -> None:
    """Each of a, b, c is good at one machine: by its labels it wins there, by those of the others it does not."""
    edition = load_edition("dcase2023")
    folders = make_systems(tmp_path, edition)
    by_machine = run(folders, edition, Best(1, per_machine=True), tmp_path / "own")
    chosen = {
        machine: [name for name, share in shares.items() if share]
        for machine, shares in by_machine.shares.machines.items()
    }
    assert chosen == {"ToyCar": ["a"], "fan": ["b"], "gearbox": ["c"]}
    together = run(folders, edition, Best(1), tmp_path / "together")
    assert together.shares.machines == {}
    assert by_machine.shares.common == together.shares.common
    assert by_machine.shares.oracle
    assert by_machine.worth is not None
    assert together.worth is not None
    assert by_machine.worth.held_out == together.worth.held_out is not None
    assert by_machine.worth.chosen > together.worth.chosen > together.worth.held_out  # type: ignore[operator]
    assert by_machine.worth.chosen == pytest.approx(evaluated(tmp_path, edition, by_machine.out), abs=1e-12)


@pytest.mark.parametrize("count", [1, 2])
def test_the_held_out_number_is_that_of_the_systems_best_on_the_other_machines(tmp_path: Path, count: int) -> None:
    edition = load_edition("dcase2023")
    folders = make_systems(tmp_path, edition, "abcd")
    machines = [unit.machine for unit in UNITS["dcase2023"]]
    own = {}
    for machine in machines:
        rest = [folder.only([other for other in machines if other != machine]) for folder in folders]
        own[machine] = dict(run(rest, edition, Best(count), tmp_path / machine).shares.common)
    shares = Shares({"a": 1.0}, own)
    expected = evaluated(tmp_path, edition, run(folders, edition, shares, tmp_path / "given").out)
    found = run(folders, edition, Best(count), tmp_path / "found").worth
    assert found is not None
    assert found.held_out == pytest.approx(expected, abs=1e-12)


def test_the_best_on_one_machine_have_no_held_out_number(tmp_path: Path) -> None:
    edition = load_edition("dcase2023")
    folders = [folder.only(["fan"]) for folder in make_systems(tmp_path, edition)]
    fused = run(folders, edition, Best(1, per_machine=True), tmp_path / "out")
    assert fused.worth is not None
    assert fused.worth.held_out is None


def test_a_second_search_is_not_made_and_tells_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edition = load_edition("dcase2022")
    folders = make_systems(tmp_path, edition)
    first = run(folders, edition, Grid(0.25), tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in first.out.rglob("*")}
    with monkeypatch.context() as patch:
        patch.setattr("asdcli.stages.ensemble.weigh", None)
        assert run(folders, edition, Grid(0.25), first.out) == first
    assert before == {path: path.stat().st_mtime_ns for path in first.out.rglob("*")}
    finer = run(folders, edition, Grid(0.125), first.out)
    assert before != {path: path.stat().st_mtime_ns for path in finer.out.rglob("*")}


def test_a_search_needs_the_development_set_with_labels(tmp_path: Path) -> None:
    edition = load_edition("dcase2023")
    vacuum = score_name(edition, Unit("Vacuum", "00"))
    for name in "ab":
        write_values(tmp_path / name / vacuum, [f"section_00_{index:04d}.wav" for index in range(9)], range(9))
    folders = opened(tmp_path, edition, "ab")
    with pytest.raises(UserError, match="searched for on the development set") as raised:
        run(folders, edition, Grid(), tmp_path / "out")
    assert "--weights" in raised.value.hint
    assert run(folders, edition, None, tmp_path / "out").worth is None
    own = load_edition("mill", own=True)
    for name in "cd":
        write_values(tmp_path / name / score_name(own, Unit("press", "00")), ["one.wav", "two.wav"], [1, 2])
    folders = opened(tmp_path, own, "cd")
    with pytest.raises(UserError, match="do not tell"):
        run(folders, own, Grid(), tmp_path / "own")
    assert "do not tell" in run(folders, own, None, tmp_path / "own").not_evaluated


def test_what_is_too_much_for_a_grid_is_climbed_and_said(tmp_path: Path) -> None:
    edition = load_edition("dcase2022")
    folders = make_systems(tmp_path, edition, "abcdefgh")
    fused = run(folders, edition, Grid(0.01, per_machine=True), tmp_path / "out")
    assert fused.worth is not None
    assert fused.worth.search == "ascent"
    assert "8 systems in steps of 0.01 has 26,075,972,546 points. Instead, coordinate ascent" in fused.worth.searched
    assert fused.worth.held_out is not None
    assert fused.worth.chosen == pytest.approx(evaluated(tmp_path, edition, fused.out), abs=1e-12)
    assert fused.shares.oracle
    assert sum(fused.shares.common.values()) == pytest.approx(1)


def test_the_best_systems_are_chosen_anew_without_each_machine(tmp_path: Path) -> None:
    """Of three systems each is best on one machine; without it, another one is."""
    edition = load_edition("dcase2023")
    folders = make_systems(tmp_path, edition)
    worth = run(folders, edition, Best(1), tmp_path / "out").worth
    assert worth is not None
    assert worth.held_out is not None
    alone = [system.only([machine]) for machine in ("fan", "ToyCar", "gearbox") for system in folders]
    by_machine = np.array([weigh(Ui(), edition, [each], "none", None)[1].equal for each in alone]).reshape(3, 3)
    expected = []
    for machine in range(3):
        others = np.delete(by_machine, machine, axis=0)  # three values each: means of machines are means of values
        expected.append(by_machine[machine, (1 / (1 / others).mean(axis=0)).argmax()])
    assert worth.held_out == pytest.approx(1 / np.mean(1 / np.array(expected)), abs=1e-12)
    assert worth.held_out < worth.chosen


@pytest.mark.parametrize("step", [0.3, 0.0, -0.1, 1.5, float("nan"), 1e-4, 1e-320])
def test_impossible_steps(step: float) -> None:
    with pytest.raises(UserError, match="no whole number of steps"):
        Grid(step)


@pytest.mark.parametrize(
    "choice", [None, Grid(0.2, True), Best(3), Best(1, True), Shares({"a": 1.0}, {"fan": {"b": 2.0}}, oracle=True)]
)
def test_a_choice_comes_back_from_its_document(choice: Choice) -> None:
    assert choice_from_dict(choice_to_dict(choice)) == choice


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("edition: dcase2022\n", "holds no weights"),
        ("weights:\n  a: 1\n  b: much\n", "line 3: the weight of b"),
        ("weights:\n  a: -1\n", "line 2: the weight of a"),
        ("weights: {a: 0}\n", "all weights are 0"),
        ("weights: {a: 1}\nmachines: {fan: 5}\n", "line 2: machines holds weights by machine"),
        ("weights: {a: 1}\noracle: 'no'\n", "line 2: oracle is true or false"),
        ("weights: {a: 1}\nmachines:\n  fan: {a: 0}\n", "line 3: all weights are 0"),
        ("weights: {a: 1}\nnormalisation: tain\n", "Did you mean 'train'"),
        ("weights: [1, 2]\n", "holds no weights"),
    ],
)
def test_a_broken_weights_file_names_the_place(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "weights.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        read_shares(path)


@pytest.mark.real
def test_real_scores_against_brute_force_with_scikit_learn(real_dir: Path, tmp_path: Path) -> None:
    """Four of six systems on the DCASE 2022 development set, steps of 0.5: all numbers, found in two ways."""
    edition = load_edition("dcase2022")
    paths = sorted((real_dir / "scores_dcase2022_dev").iterdir())[:4]
    folders = [open_score_folder(Workspace(tmp_path), Ui(), path, edition) for path in paths]
    shares, worth = weigh(Ui(), edition, folders, "none", Grid(0.5))
    points = simplex(4, 2)
    by_machine = _sklearn_values([folder.read("dev") for folder in folders], points)
    expected = np.array([_hmean(by_machine.values(), number) for number in range(len(points))])
    chosen = best(expected, points)
    assert worth.chosen == pytest.approx(expected[chosen], abs=1e-12)
    assert list(shares.common.values()) == (points[chosen] / 2).tolist()
    equal = _sklearn_values([folder.read("dev") for folder in folders], np.ones((1, 4)))
    assert worth.equal == pytest.approx(_hmean(equal.values(), 0), abs=1e-12)
    held_out = []
    for machine, values in by_machine.items():
        rest = [other for name, other in by_machine.items() if name != machine]
        on_rest = np.array([_hmean(rest, number) for number in range(len(points))])
        held_out.append(values[:, best(on_rest, points)])
    assert worth.held_out == pytest.approx(1 / np.mean(1 / np.concatenate(held_out)), abs=1e-12)


def _hmean(values: object, number: int) -> float:
    return float(1 / np.mean(1 / np.concatenate([machine[:, number] for machine in values])))  # type: ignore[attr-defined]


def _sklearn_values(
    systems: list[Mapping[Unit, tuple[list[str], np.ndarray]]], points: np.ndarray
) -> dict[str, np.ndarray]:
    """AUC source, AUC target and pAUC of every section `[values, points]` by machine."""
    found: dict[str, list[list[float]]] = {}
    for unit, (clips, _) in systems[0].items():
        orders = [{name: row for row, name in enumerate(system[unit][0])} for system in systems]
        scores = [s[unit][1][[o[clip] for clip in clips]] for s, o in zip(systems, orders, strict=True)]
        labels = np.array(["anomaly" in clip for clip in clips])
        rows = [labels | np.array([domain in clip for clip in clips]) for domain in ("source", "target")]
        fused = [sum(w * s for w, s in zip(point, scores, strict=True)) for point in points]
        for mask in rows:
            found.setdefault(unit.machine, []).append([roc_auc_score(labels[mask], f[mask]) for f in fused])
        found[unit.machine].append([roc_auc_score(labels, f, max_fpr=0.1) for f in fused])
    return {machine: np.array(values) for machine, values in found.items()}
