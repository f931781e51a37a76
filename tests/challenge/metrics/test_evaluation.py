from __future__ import annotations

import json

import numpy as np
import pytest
from processes import Calls
from scipy.stats import hmean
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from asdcli.challenge.editions.edition import edition_names, load_edition
from asdcli.challenge.editions.scorefiles import Unit, find_score_files, read_values, units
from asdcli.challenge.editions.truth import truth_from_clips, truth_from_names
from asdcli.challenge.metrics.bootstrap import resample
from asdcli.challenge.metrics.evaluation import evaluate, meta_results, units_by_set
from asdcli.errors import UserError

CELLS = [(label, domain) for label in (0, 1) for domain in ("source", "target")]
CLOSE = {"abs": 1e-12}


class Results:
    """Random scores and decisions of some units, with their truth; sizes of the cells of label and domain differ."""

    def __init__(self, edition, found, sizes=(12, 5, 7, 9), seed=0):
        rng = np.random.default_rng(seed)
        rows, self.scores, self.decisions, self.labels, self.domains = [], {}, {}, {}, {}
        for unit in found:
            sized = list(zip(CELLS, sizes, strict=True))
            clips = [(label, unit.domain or domain) for (label, domain), size in sized for _ in range(size)]
            names = [f"{unit.domain}{index}.wav" for index in range(len(clips))]
            domains = [domain if edition.domains else "" for _, domain in clips]
            rows += [(unit.machine, unit.section, n, c[0], d) for n, c, d in zip(names, clips, domains, strict=True)]
            self.labels[unit] = np.array([label for label, _ in clips])
            self.domains[unit] = np.array(domains)
            values = np.round(rng.normal(size=len(clips)) + self.labels[unit], 1)
            self.scores[unit] = (names, values)
            order = rng.permutation(len(clips))
            self.decisions[unit] = ([names[i] for i in order], (values > 0.5).astype(float)[order])
        self.truth = truth_from_clips(rows)

    def auc(self, unit, domain="", max_fpr=None):
        y, s, d = self.labels[unit], self.scores[unit][1], self.domains[unit]
        keep = (d == domain) | (y == 1) if domain else np.full(len(y), True)
        return roc_auc_score(y[keep], s[keep], max_fpr=max_fpr)

    def prf(self, unit, domain):
        here = self.domains[unit] == domain
        decisions = (self.scores[unit][1] > 0.5).astype(int)
        return precision_recall_fscore_support(
            self.labels[unit][here], decisions[here], average="binary", zero_division=0
        )


@pytest.mark.parametrize("set_name", ["dev", "eval"])
@pytest.mark.parametrize("name", [n for n in edition_names() if n not in ("dcase2020", "dcase2021")])
def test_rule_since_2022(name, set_name):
    edition = load_edition(name)
    found = units(edition, set_name)
    results = Results(edition, found)
    done = evaluate(edition, results.scores, results.truth, results.decisions, bootstrap=0)
    values = []
    for unit in found:
        section = done.machines[unit.machine].sections[unit.section]
        expected = {f"auc_{d}": results.auc(unit, d) for d in ("source", "target")}
        expected["pauc"] = results.auc(unit, max_fpr=0.1)
        values += expected.values()
        expected["auc_all"] = results.auc(unit)
        for domain in ("source", "target"):
            names = [f"{key}_{domain}" for key in ("precision", "recall", "f1")]
            expected |= dict(zip(names, results.prf(unit, domain)[:3], strict=True))
        assert section.metrics == pytest.approx(expected, **CLOSE)
        assert (section.clips, section.anomalies) == (33, 16)
    assert done.official_score == pytest.approx(hmean(values), **CLOSE)
    assert done.arithmetic["pauc"] == pytest.approx(np.mean(values[2::3]), **CLOSE)
    assert done.arithmetic["auc"] == pytest.approx(np.mean([*values[::3], *values[1::3]]), **CLOSE)
    assert done.harmonic["auc_target"] == pytest.approx(hmean(values[1::3]), **CLOSE)
    assert (done.set_name, done.missing, done.mean_auc_pauc, done.ci95) == (set_name, (), None, None)
    assert done.clips == 33 * len(found)


def test_rule_of_2021():
    edition = load_edition("dcase2021")
    found = units(edition, "eval")
    results = Results(edition, found)
    done = evaluate(edition, results.scores, results.truth, results.decisions, bootstrap=0)
    values = {unit: (results.auc(unit), results.auc(unit, max_fpr=0.1)) for unit in found}
    assert len(values) * 2 == 84
    assert done.official_score == pytest.approx(hmean(list(values.values()), axis=None), **CLOSE)
    section = done.machines["fan"].sections["04"].metrics
    for domain in ("source", "target"):
        unit = Unit("fan", "04", domain)
        found_here = (section[f"auc_{domain}"], section[f"pauc_{domain}"], section[f"f1_{domain}"])
        assert found_here == pytest.approx((*values[unit], results.prf(unit, domain)[2]), **CLOSE)
    fan = [value for unit, value in values.items() if unit.machine == "fan"]
    assert done.machines["fan"].harmonic["auc"] == pytest.approx(hmean([v[0] for v in fan]), **CLOSE)
    assert done.machines["fan"].hmean == pytest.approx(hmean(fan, axis=None), **CLOSE)
    assert set(meta_results(edition, done)["fan"]) == {"harmonic_mean_auc", "harmonic_mean_pauc"}


def test_rule_of_2020():
    edition = load_edition("dcase2020")
    found = units(edition, "eval")
    results = Results(edition, found)
    done = evaluate(edition, results.scores, results.truth, bootstrap=50)
    fan = [unit for unit in found if unit.machine == "fan"]
    averages = {
        "averaged_auc": 100 * np.mean([results.auc(unit) for unit in fan]),
        "averaged_pauc": 100 * np.mean([results.auc(unit, max_fpr=0.1) for unit in fan]),
    }
    assert meta_results(edition, done)["fan"] == pytest.approx(averages, **CLOSE)
    assert set(done.machines["fan"].sections["01"].metrics) == {"auc", "pauc"}
    assert done.official_score is None
    machines = [[done.machines[m].arithmetic[key] for key in ("auc", "pauc")] for m in edition.machines["eval"]]
    assert done.score == done.mean_auc_pauc == pytest.approx(np.mean(machines), **CLOSE)
    assert done.ci95[0] < done.score < done.ci95[1]
    document = done.as_dict()
    assert document["official_score"] is None
    assert document["machines"]["fan"]["auc"] == pytest.approx(averages["averaged_auc"] / 100, **CLOSE)


def test_document():
    edition = load_edition("demo")
    found = units(edition, "dev")
    results = Results(edition, found[1:])
    document = evaluate(edition, results.scores, results.truth, bootstrap=100).as_dict()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert list(document)[:4] == ["edition", "set", "official_score", "ci95"]
    assert document["missing"] == ["SynBearing section 00"]
    assert list(document["machines"]) == ["SynFan", "SynGearbox"]
    fan = document["machines"]["SynFan"]
    assert list(fan["sections"]) == ["00", "01"]
    assert fan["auc_source"] == pytest.approx(hmean([fan["sections"][key]["auc_source"] for key in ("00", "01")]))
    keys = ("auc_source", "auc_target", "pauc")
    assert fan["hmean"] == pytest.approx(hmean([fan["sections"][k][key] for k in ("00", "01") for key in keys]))
    assert {"auc_source", "auc_target", "pauc", "auc_all", "separability", "clips"} <= set(fan["sections"]["00"])


def test_interval_is_that_of_the_resampled_clips():
    edition = load_edition("dcase2023")
    found = units(edition, "eval")[:2]
    results = Results(edition, found)
    done = evaluate(edition, results.scores, results.truth, bootstrap=30, seed=3, partial=True)
    rng, drawn = np.random.default_rng(3), []
    for unit in found:
        y, s, d = results.labels[unit], results.scores[unit][1], results.domains[unit]
        order = np.argsort(results.scores[unit][0])
        y, s, d = y[order], s[order], d[order]
        weights = resample(rng, 4 * y + 1 + (d == "target"), 30).astype(int)
        for masks in (((d == "source") | (y == 1), None), ((d == "target") | (y == 1), None), (y < 2, 0.1)):
            keep, limit = masks
            pairs = [(np.repeat(y[keep], w[keep]), np.repeat(s[keep], w[keep])) for w in weights.T]
            drawn.append([roc_auc_score(*pair, max_fpr=limit) for pair in pairs])
    low, high = np.percentile(hmean(np.array(drawn), axis=0), [2.5, 97.5])
    assert done.ci95 == pytest.approx((low, high), abs=1e-10)
    assert done == evaluate(edition, results.scores, results.truth, bootstrap=30, seed=3, partial=True)
    assert done.ci95 != evaluate(edition, results.scores, results.truth, bootstrap=30, seed=4, partial=True).ci95


def test_sets_are_never_mixed():
    edition = load_edition("dcase2022")
    found = [Unit("fan", "02"), Unit("fan", "03"), Unit("valve", "00")]
    assert units_by_set(edition, found) == {"dev": [found[0], found[2]], "eval": [found[1]]}
    results = Results(edition, found)
    with pytest.raises(UserError, match="2 of the dev set and 1 of the eval set"):
        evaluate(edition, results.scores, results.truth)
    with pytest.raises(UserError, match="no score files"):
        evaluate(edition, {}, results.truth)


def test_absent_class_is_left_out_and_said():
    edition = load_edition("dcase2023")
    whole, single, half = units(edition, "eval")[:3]
    results = Results(edition, [whole])
    rest = Results(edition, [single], sizes=(4, 4, 0, 0))
    part = Results(edition, [half], sizes=(4, 0, 4, 4))
    rows = [
        (*key, name, *clip)
        for r in (results, rest, part)
        for key, cl in r.truth.clips.items()
        for name, clip in cl.items()
    ]
    done = evaluate(
        edition, results.scores | rest.scores | part.scores, truth_from_clips(rows), bootstrap=20, partial=True
    )
    known = [results.auc(whole, "source"), results.auc(whole, "target"), results.auc(whole, max_fpr=0.1)]
    known += [part.auc(half, "source"), part.auc(half, max_fpr=0.1)]
    assert done.partial_score == pytest.approx(hmean(known), **CLOSE)
    assert len(done.notes) == 2
    assert "no anomalous test clip" in done.notes[0]
    assert "no normal test clip of the target domain" in done.notes[1]
    assert done.as_dict()["machines"][single.machine]["sections"]["00"]["pauc"] is None
    json.dumps(done.as_dict(), allow_nan=False)
    alone = evaluate(edition, rest.scores, rest.truth)
    assert alone.as_dict()["official_score"] is None
    assert alone.ci95 is None


def test_own_data_without_domains():
    own = load_edition("hall_3", own=True)
    unit = Unit("pump", "00")
    names = [f"normal/{i}.wav" for i in range(9)] + [f"anomaly/{i}.wav" for i in range(6)]
    scores = np.random.default_rng(0).normal(size=15)
    done = evaluate(own, {unit: (names, scores)}, truth_from_names(own, "dev", {unit: names}), bootstrap=20)
    y = np.array([0] * 9 + [1] * 6)
    expected = {"auc": roc_auc_score(y, scores), "pauc": roc_auc_score(y, scores, max_fpr=0.1)}
    assert done.machines["pump"].sections["00"].metrics == pytest.approx(expected, **CLOSE)
    assert done.official_score == pytest.approx(hmean(list(expected.values())), **CLOSE)
    assert done.notes == done.missing == ()


def test_own_data_of_one_domain():
    own = load_edition("hall_3", own=True)
    results = Results(own, [Unit("pump", "00", "")], sizes=(9, 0, 6, 0))
    done = evaluate(own, results.scores, results.truth, bootstrap=0)
    assert set(done.machines["pump"].sections["00"].metrics) == {"auc_source", "auc_all", "pauc"}
    assert done.notes == ()


def test_bad_values():
    edition = load_edition("dcase2023")
    unit = units(edition, "eval")[0]
    results = Results(edition, [unit])
    names, values = results.scores[unit]
    with pytest.raises(UserError, match=r"score of 3\.wav .* is nan"):
        evaluate(edition, {unit: (names, np.where(np.arange(33) == 3, np.nan, values))}, results.truth)
    with pytest.raises(UserError, match=r"hold 0\.5; a decision is 0"):
        evaluate(edition, results.scores, results.truth, {unit: (names, np.full(33, 0.5))})
    with pytest.raises(UserError, match="1 without a score"):
        evaluate(edition, {unit: (names[1:], values[1:])}, results.truth)


def test_resamples_are_not_evaluated_one_by_one():
    """So that ten times as many take far less than ten times as many calls of functions."""
    edition = load_edition("dcase2022")
    results = Results(edition, units(edition, "eval"), sizes=(50, 50, 50, 50))
    first, few, many = Calls(), Calls(), Calls()  # what the first one imports does not count
    for calls, bootstrap in ((first, 100), (few, 100), (many, 1000)):
        with calls:
            evaluate(edition, results.scores, results.truth, bootstrap=bootstrap)
    assert many.calls < 3 * few.calls


@pytest.mark.real
def test_real_folders_equal_sklearn(real_dir):
    edition = load_edition("dcase2022")
    folders = sorted((real_dir / "scores_dcase2022_dev").iterdir())
    assert len(folders) == 6
    for folder in folders:
        scores = {unit: read_values(path) for unit, path in find_score_files(folder, edition).items()}
        truth = truth_from_names(edition, "dev", {unit: names for unit, (names, _) in scores.items()})
        done = evaluate(edition, scores, truth, bootstrap=100)
        values = []
        for unit, (names, s) in scores.items():
            y = np.array(["_anomaly_" in name for name in names]).astype(int)
            d = np.array([name.split("_")[2] for name in names])
            masks = {domain: (d == domain) | (y == 1) for domain in ("source", "target")}
            expected = {f"auc_{domain}": roc_auc_score(y[mask], s[mask]) for domain, mask in masks.items()}
            expected["pauc"] = roc_auc_score(y, s, max_fpr=0.1)
            values += expected.values()
            expected["auc_all"] = roc_auc_score(y, s)
            section = done.machines[unit.machine].sections[unit.section]
            assert section.metrics == pytest.approx(expected, **CLOSE)
            assert section.separability == pytest.approx(s[y == 1].mean() - s[y == 0].mean())
        assert len(values) == 63
        assert done.official_score == pytest.approx(hmean(values), **CLOSE)
        assert done.missing == ()
        for machine, result in done.machines.items():
            here = [value for index, value in enumerate(values) if list(scores)[index // 3].machine == machine]
            assert result.hmean == pytest.approx(hmean(here), **CLOSE)
            assert result.harmonic["auc_source"] == pytest.approx(hmean(here[::3]), **CLOSE)
            assert result.harmonic["auc_target"] == pytest.approx(hmean(here[1::3]), **CLOSE)
            assert result.harmonic["pauc"] == pytest.approx(hmean(here[2::3]), **CLOSE)
            assert result.arithmetic["pauc"] == pytest.approx(np.mean(here[2::3]), **CLOSE)
        assert done.ci95[0] < done.official_score < done.ci95[1]


def test_an_unlabelled_clip_changes_nothing_for_the_others() -> None:
    own, unit, other = load_edition("own", own=True), Unit("fan", "00"), Unit("mill", "00")
    names, scores = [f"{label}/{i}.wav" for label in ("normal", "anomaly") for i in range(3)], np.arange(6.0)
    alone = evaluate(own, {unit: (names, scores)}, truth_from_names(own, "dev", {unit: names}), bootstrap=20)
    more = [*names, "today.wav"]
    truth = truth_from_names(own, "dev", {unit: more, other: ["x.wav"]})
    values = {unit: (more, np.arange(7.0)), other: (["x.wav"], np.zeros(1))}
    done = evaluate(own, values, truth, {unit: (more, np.ones(7))}, bootstrap=20)
    assert (done.official_score, done.ci95, done.clips) == (alone.official_score, alone.ci95, 6)
    assert list(done.machines) == ["fan"]
    assert len(done.notes) == 2
