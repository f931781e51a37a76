"""Scores and ground truth to the numbers of the official evaluators, with an interval around the official score."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from asdcli.challenge.editions.clipnames import UNKNOWN
from asdcli.challenge.editions.edition import Edition, set_of
from asdcli.challenge.editions.scorefiles import Unit, units
from asdcli.challenge.editions.truth import DOMAINS, Truth
from asdcli.challenge.metrics import official as metrics
from asdcli.challenge.metrics.bootstrap import percentile_interval, resample
from asdcli.errors import UserError
from asdcli.workspace.places import SETS

Values = tuple[Sequence[str], np.ndarray]
"""Clip names and values `[clips]` of a score or decision file."""

Row = dict[str, Any]
"""Values by metric: floats for the test set itself, `[draws]` for its resamples."""

_BLOCK = 50_000
"""Clips times draws that are resampled at once."""

FAMILIES = ("auc", "pauc", "precision", "recall", "f1")


@dataclass(frozen=True)
class SectionResult:
    """One section. metrics: by name, in fractions; a domain is a suffix (`auc_source`, `precision_target`).

    `auc` stands alone where clips are not split by domain (2020, own data without domains); `auc_all` beside the AUCs
    of the domains is printed by the evaluators and never part of a mean.
    """

    clips: int
    anomalies: int
    metrics: Mapping[str, float]
    separability: float


@dataclass(frozen=True)
class MachineResult:
    """One machine: its sections, the means over them by metric name, and `hmean` over all its official values.

    In the means a name without domain (`auc`) covers both domains, as the evaluators' summary rows do.
    """

    sections: Mapping[str, SectionResult]
    arithmetic: Mapping[str, float]
    harmonic: Mapping[str, float]
    hmean: float
    separability: float


@dataclass(frozen=True)
class Evaluation:
    """All numbers of one set of score files, in fractions; nan where a class is absent or a file is missing.

    official_score: as the edition's evaluator; None in 2020, whose evaluator has none. mean_auc_pauc: in 2020 only, the
    mean over machines of (averaged AUC + averaged pAUC) / 2; it orders systems much as the ranking by average ranks
    does, but is not an official number. Both are None, and so are means, where a file that they are about is missing:
    evaluators give none then. partial_score: asked for then, what either would be of the files that are there; means
    are of these, too. ci95: of whichever of the three exists, by a stratified bootstrap of so many resamples; None
    without. resamples: its values `[bootstrap]`, the n-th of the same clips for every system on the same test set, so
    that differences can be taken.

    missing: units of the set that no score file is about; undecided: those without a decision file where others have
    one; unlabelled: those whose scores are there, but no ground truth; left_out: machine types that nobody asked for.
    """

    edition: str
    set_name: str
    official_score: float | None
    mean_auc_pauc: float | None
    partial_score: float | None
    ci95: tuple[float, float] | None
    machines: Mapping[str, MachineResult]
    arithmetic: Mapping[str, float]
    harmonic: Mapping[str, float]
    averages: str
    separability: float
    clips: int
    bootstrap: int
    missing: tuple[Unit, ...]
    undecided: tuple[Unit, ...]
    unlabelled: tuple[Unit, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    resamples: np.ndarray = field(compare=False, repr=False)

    @property
    def score(self) -> float:
        """What systems are compared by: the official score, in 2020 the mean of AUC and pAUC, or the partial one."""
        scores = (self.official_score, self.mean_auc_pauc, self.partial_score)
        return next((score for score in scores if score is not None), math.nan)

    @property
    def complete(self) -> bool:
        """Whether every file that an official score wants is there."""
        return not (self.missing or self.undecided or self.unlabelled or self.left_out)

    def lacking(self, machine: str) -> dict[str, list[Unit]]:
        """The units of a machine of which no scores (`scores`) and no decisions (`decisions`) can be evaluated."""
        scores = [unit for unit in (*self.missing, *self.unlabelled) if unit.machine == machine]
        return {"scores": scores, "decisions": scores + [unit for unit in self.undecided if unit.machine == machine]}

    def official_means(self, result: MachineResult | Evaluation) -> Mapping[str, float]:
        """The kind of means that the edition reports: arithmetic in 2020, harmonic since."""
        return result.arithmetic if self.averages == "arithmetic" else result.harmonic

    def as_dict(self) -> dict[str, Any]:
        """The document of `asd evaluate --json`; a value that does not exist is None."""
        about: dict[str, Any] = {"edition": self.edition, "set": self.set_name, "official_score": self.official_score}
        if self.mean_auc_pauc is not None:
            about["mean_auc_pauc"] = self.mean_auc_pauc
        if self.partial_score is not None:
            about["partial_score"] = self.partial_score
        return _no_nan(
            {
                **about,
                "ci95": self.ci95 and list(self.ci95),
                "bootstrap": self.bootstrap,
                "machines": {name: self._machine_dict(name, result) for name, result in self.machines.items()},
                "arithmetic_mean": dict(self.arithmetic),
                "harmonic_mean": dict(self.harmonic),
                "separability": self.separability,
                "clips": self.clips,
                "complete": self.complete,
                "missing": [str(unit) for unit in self.missing],
                "undecided": [str(unit) for unit in self.undecided],
                "unlabelled": [str(unit) for unit in self.unlabelled],
                "left_out": list(self.left_out),
                "notes": list(self.notes),
            }
        )

    def _machine_dict(self, name: str, result: MachineResult) -> dict[str, Any]:
        sections = {
            key: {**s.metrics, "separability": s.separability, "clips": s.clips, "anomalies": s.anomalies}
            for key, s in result.sections.items()
        }
        return {
            **self.official_means(result),
            "hmean": result.hmean,
            "separability": result.separability,
            "arithmetic_mean": dict(result.arithmetic),
            "harmonic_mean": dict(result.harmonic),
            "complete": not self.lacking(name)["decisions"],
            "sections": sections,
        }


@dataclass(frozen=True)
class _Scored:
    """The clips of one unit with their truth, by name; decisions `[clips]` of 0 and 1 when there are any."""

    scores: np.ndarray
    labels: np.ndarray
    domains: np.ndarray
    decided: tuple[np.ndarray, np.ndarray, np.ndarray] | None


def units_by_set(edition: Edition, found: Iterable[Unit]) -> dict[str, list[Unit]]:
    """Units by the set they belong to; sets without any are left out. Raises UserError for a unit of neither."""
    sets: dict[str, list[Unit]] = {}
    for unit in sorted(found):
        sets.setdefault(set_of(edition, unit.machine, unit.section), []).append(unit)
    return {name: sets[name] for name in SETS if name in sets}


def by_truth(present: Sequence[Unit], truth: Truth) -> tuple[list[Unit], list[Unit]]:
    """Units that have ground truth, and those that have none; if none has any, all are among the first, so that who
    looks the first one up says what is wrong.
    """
    labelled = [unit for unit in present if truth.of(unit)] or list(present)
    return labelled, [unit for unit in present if unit not in labelled]


def missing_units(
    edition: Edition, set_name: str, present: Collection[Unit], machines: Collection[str] = ()
) -> list[Unit]:
    """Units of a set, as far as it is known in advance, that are not present; of some machines, or of all."""
    due = [unit for unit in units(edition, set_name) if not machines or unit.machine in machines]
    return [unit for unit in due if unit not in present]


def evaluate(
    edition: Edition,
    scores: Mapping[Unit, Values],
    truth: Truth,
    decisions: Mapping[Unit, Values] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    partial: bool = False,
    machines: Collection[str] = (),
) -> Evaluation:
    """Evaluate the score files of one set as the edition's evaluator does.

    bootstrap: number of resamples behind `ci95`, 0 for none. partial: whether files may be missing. machines: those
    that the scores are chosen to be about, which is a part of the set as well; none for all. Some units may be none of
    the truth's. Raises UserError when the files are of both sets, when a clip is missing, unknown or there twice, and
    for values that are not finite or decisions that are not 0 or 1.

    A section in which a class is absent has no AUC: its values are nan, all means leave them out, and a note says so.
    """
    set_name, present = _one_set(edition, scores)
    labelled, unlabelled = by_truth(present, truth)
    scored = {unit: _scored(unit, scores[unit], truth, (decisions or {}).get(unit)) for unit in labelled}
    scored = {unit: clips for unit, clips in scored.items() if len(clips.labels)}  # the truth's notes tell the others
    rows = {unit: _unit_row(edition, unit, clips) for unit, clips in scored.items()}
    missing = missing_units(edition, set_name, (*scored, *unlabelled), machines)
    decided = {unit for unit, clips in scored.items() if clips.decided is not None}
    undecided = [unit for unit in scored if decided and unit not in decided]
    left_out = [machine for machine in edition.machines.get(set_name, ()) if machines and machine not in machines]
    whole = not (missing or undecided or unlabelled or left_out)
    partial = partial or bool(left_out)
    score = float(_score(edition, rows)) if whole or partial else math.nan
    official = edition.metrics != "per_id"
    resamples = np.empty(0) if math.isnan(score) else _resamples(edition, scored, bootstrap, seed)
    gone: dict[str, set[str]] = {}  # families of metrics by machine whose means are of a part
    for unit in [] if partial else (*missing, *unlabelled):
        gone.setdefault(unit.machine, set()).update(FAMILIES)
    for unit in [] if partial else undecided:
        gone.setdefault(unit.machine, set()).update(FAMILIES[2:])
    everywhere = set().union(*gone.values())
    return Evaluation(
        edition=edition.name,
        set_name=set_name,
        official_score=score if official and whole else None,
        mean_auc_pauc=score if not official and whole else None,
        partial_score=score if partial and not whole else None,
        ci95=percentile_interval(resamples) if len(resamples) else None,
        machines=_machines(rows, scored, gone),
        arithmetic=_means(rows.values(), metrics.arithmetic_mean, everywhere),
        harmonic=_means(rows.values(), metrics.harmonic_mean, everywhere),
        averages="harmonic" if official else "arithmetic",
        separability=math.nan if "auc" in everywhere else _separability(scored.values()),
        clips=sum(len(clips.scores) for clips in scored.values()),
        bootstrap=bootstrap,
        missing=tuple(missing),
        undecided=tuple(undecided),
        unlabelled=tuple(unlabelled),
        left_out=tuple(left_out),
        notes=(*truth.notes, *_notes(edition, scored)),
        resamples=resamples,
    )


def meta_results(edition: Edition, evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """The results on the development set as meta.yaml wants them: percent by machine and result key of the edition."""
    found: dict[str, dict[str, float]] = {}
    for machine, result in evaluation.machines.items():
        means = evaluation.official_means(result)
        names = {key: key.removeprefix("averaged_").removeprefix("harmonic_mean_") for key in edition.result_keys}
        values = {key: 100.0 * means.get(name, math.nan) for key, name in names.items()}
        found[machine] = {key: value for key, value in values.items() if not math.isnan(value)}
    return found


def _one_set(edition: Edition, scores: Mapping[Unit, Values]) -> tuple[str, list[Unit]]:
    sets = units_by_set(edition, scores)
    if not sets:
        raise UserError("There are no score files to evaluate.")
    if len(sets) > 1:
        counts = " and ".join(f"{len(found)} of the {name} set" for name, found in sets.items())
        raise UserError(f"The score files are {counts}; an official score is about one set.", "Evaluate them apart.")
    return next(iter(sets.items()))


def _scored(unit: Unit, values: Values, truth: Truth, decided: Values | None) -> _Scored:
    by_name = np.argsort(np.array(values[0]))  # resamples of two systems are then of the same clips
    names, scores = [values[0][row] for row in by_name], values[1][by_name]
    labels, domains = truth.lookup(unit, names)
    if not np.isfinite(scores).all():
        bad = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise UserError(f"The score of {names[bad]} ({unit}) is {scores[bad]}, not a finite number.")
    told = labels != UNKNOWN
    scores, labels, domains = scores[told], labels[told], domains[told]
    if decided is None:
        return _Scored(scores, labels, domains, None)
    if odd := sorted({*decided[1].tolist()} - {0, 1}):
        raise UserError(f"The decisions of {unit} hold {odd[0]:g}; a decision is 0 (normal) or 1 (anomaly).")
    decisions = (decided[1], *truth.lookup(unit, decided[0]))
    told = decisions[1] != UNKNOWN
    return _Scored(scores, labels, domains, (decisions[0][told], decisions[1][told], decisions[2][told]))


def _unit_row(edition: Edition, unit: Unit, clips: _Scored) -> dict[str, float]:
    """All metrics of one unit, for the test set as it is."""
    row = {name: float(value[0]) for name, value in _areas(edition, unit, clips, 1, None).items()}
    if _split(edition, clips):
        row["auc_all"] = metrics.auc(clips.labels, clips.scores)
    if clips.decided is None:
        return row
    decisions, labels, domains = clips.decided
    for domain in [name for name in DOMAINS if name in domains] or [""]:
        here = domains == domain
        values = metrics.precision_recall_f1(labels[here], decisions[here])
        row |= {_named(name, domain): value for name, value in zip(FAMILIES[2:], values, strict=True)}
    return row


def _areas(edition: Edition, unit: Unit, clips: _Scored, draws: int, rng: np.random.Generator | None) -> Row:
    """AUC and pAUC `[draws]` of one unit, of resamples when there is a generator.

    2020 and 2021 compare the clips of a unit with each other (the files of 2021 are of one domain each). Since 2022 the
    normal clips of one domain meet all anomalies of the section, and the pAUC covers both domains.
    """
    order, starts = metrics.falling(clips.scores)
    labels, domains = clips.labels[order], clips.domains[order]
    drawn = None if rng is None else resample(rng, _strata(clips.labels, clips.domains), draws)[order]
    weights = np.ones((len(order), draws)) if drawn is None else drawn
    anomalous = metrics.grouped(weights * (labels == 1)[:, None], starts)
    normal = {}
    for domain in _split(edition, clips) or (unit.domain,):
        chosen = (labels == 0) & ((domains == domain) | (domain == ""))
        normal[domain] = metrics.grouped(weights * chosen[:, None], starts)
    row = {_named("auc", domain): metrics.roc_area(anomalous, weight) for domain, weight in normal.items()}
    everyone = sum(normal.values(), start=np.zeros_like(anomalous))
    return row | {_named("pauc", unit.domain): metrics.standardised_partial_area(anomalous, everyone)}


def _split(edition: Edition, clips: _Scored) -> tuple[str, ...]:
    """The domains whose normal clips have an AUC each: since 2022, where all domains are known (not so in own data)."""
    if edition.metrics != "all_anomalies" or not np.isin(clips.domains, DOMAINS).all():
        return ()
    return tuple(domain for domain in DOMAINS if domain in clips.domains)


def _strata(labels: np.ndarray, domains: np.ndarray) -> np.ndarray:
    return 4 * labels + np.searchsorted(["", *DOMAINS], domains)


def _named(name: str, domain: str) -> str:
    return f"{name}_{domain}" if domain else name


def _family(row: Mapping[str, Any], name: str) -> list[Any]:
    """The values of a metric in a row, with or without domain, that count in means."""
    return [row[key] for key in (name, *(f"{name}_{domain}" for domain in DOMAINS)) if key in row]


def _official(rows: Iterable[Row]) -> np.ndarray:
    """All AUC and pAUC values that the official score is made of, `[values, ...]`."""
    return np.array([value for row in rows for name in ("auc", "pauc") for value in _family(row, name)])


def _score(edition: Edition, rows: Mapping[Unit, Row]) -> np.ndarray:
    """The number that systems are compared by, over the first axis of the values."""
    if edition.metrics != "per_id":
        return metrics.harmonic_mean(_official(rows.values()), axis=0)
    machines = []
    for machine in dict.fromkeys(unit.machine for unit in rows):
        own = [row for unit, row in rows.items() if unit.machine == machine]
        averages = [metrics.arithmetic_mean(np.array([row[name] for row in own]), axis=0) for name in ("auc", "pauc")]
        machines.append(metrics.arithmetic_mean(np.array(averages), axis=0))
    return metrics.arithmetic_mean(np.array(machines), axis=0)


def _resamples(edition: Edition, scored: Mapping[Unit, _Scored], draws: int, seed: int) -> np.ndarray:
    """`_score` of each resample `[draws]`: clips drawn anew within each unit, label and domain."""
    if not draws:
        return np.empty(0)
    rng = np.random.default_rng(seed)
    return _score(edition, {unit: _resampled_areas(edition, unit, clips, draws, rng) for unit, clips in scored.items()})


def _resampled_areas(edition: Edition, unit: Unit, clips: _Scored, draws: int, rng: np.random.Generator) -> Row:
    """`_areas` in blocks of draws that stay in the cache, and small however many clips there are."""
    block = max(1, _BLOCK // len(clips.scores))
    sizes = [min(block, draws - done) for done in range(0, draws, block)]
    rows = [_areas(edition, unit, clips, size, rng) for size in sizes]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _means(rows: Iterable[Row], mean: Any, gone: Collection[str] = ()) -> dict[str, float]:
    """Means by metric over units: over both domains, then domain by domain; nan for families of which some are gone."""
    rows = list(rows)
    means = {}
    for name in FAMILIES:
        if values := [value for row in rows for value in _family(row, name)]:
            means[name] = float(mean(np.array(values)))
        for key in (f"{name}_{domain}" for domain in DOMAINS):
            if values := [row[key] for row in rows if key in row]:
                means[key] = float(mean(np.array(values)))
    return {name: math.nan if name.partition("_")[0] in gone else value for name, value in means.items()}


def _machines(
    rows: Mapping[Unit, Row], scored: Mapping[Unit, _Scored], gone: Mapping[str, Collection[str]]
) -> dict[str, MachineResult]:
    results = {}
    for machine in dict.fromkeys(unit.machine for unit in rows):
        own = [unit for unit in rows if unit.machine == machine]
        sections = {key: [unit for unit in own if unit.section == key] for key in dict.fromkeys(u.section for u in own)}
        without = gone.get(machine, ())
        whole = "auc" not in without
        results[machine] = MachineResult(
            sections={key: _section(found, rows, scored) for key, found in sections.items()},
            arithmetic=_means((rows[unit] for unit in own), metrics.arithmetic_mean, without),
            harmonic=_means((rows[unit] for unit in own), metrics.harmonic_mean, without),
            hmean=float(metrics.harmonic_mean(_official(rows[unit] for unit in own))) if whole else math.nan,
            separability=_separability(scored[unit] for unit in own) if whole else math.nan,
        )
    return results


def _section(found: list[Unit], rows: Mapping[Unit, Row], scored: Mapping[Unit, _Scored]) -> SectionResult:
    """One section; in 2021 it is made of a unit per domain."""
    return SectionResult(
        clips=sum(len(scored[unit].labels) for unit in found),
        anomalies=sum(int(scored[unit].labels.sum()) for unit in found),
        metrics={name: value for unit in found for name, value in rows[unit].items()},
        separability=_separability(scored[unit] for unit in found),
    )


def _separability(scored: Iterable[_Scored]) -> float:
    return float(metrics.arithmetic_mean(np.array([metrics.separability(c.labels, c.scores) for c in scored])))


def _notes(edition: Edition, scored: Mapping[Unit, _Scored]) -> Iterable[str]:
    """Sentences about values that do not exist and are left out of the means."""
    for unit, clips in scored.items():
        for label, word in enumerate(("normal", "anomalous")):
            if label not in clips.labels:
                yield f"{unit} has no {word} test clip: its AUC and pAUC are left out of all means."
        if len(set(clips.labels.tolist())) == 2:
            for domain in set(_split(edition, clips)) - set(clips.domains[clips.labels == 0].tolist()):
                yield f"{unit} has no normal test clip of the {domain} domain: that AUC is left out of all means."


def _no_nan(value: Any) -> Any:
    """The same document with None for nan and infinity, which JSON has no words for."""
    if isinstance(value, dict):
        return {key: _no_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_no_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
