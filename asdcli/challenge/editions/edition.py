"""The editions of the challenge as data: one YAML file each in `editions/`, read into frozen dataclasses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from asdcli.errors import UserError, unknown
from asdcli.workspace.places import SETS

FOLDER = Path(__file__).parent

_PLAIN = (
    *("title", "year", "page", "paper", "evaluator", "clip_seconds", "counts", "synthetic", "own"),
    *("metrics", "domains", "domain_in_eval_names", "attributes"),
)


@dataclass(frozen=True)
class Archive:
    """One published set of zips: `dev`, `train` (additional training clips of the eval machines) or `eval`.

    `zips` and `md5` go by machine; an md5 is known for some editions only. `tree` says what a zip unpacks to.
    """

    record: int
    zips: Mapping[str, str]
    md5: Mapping[str, str]
    tree: str
    supersedes: int | None = None
    note: str = ""


@dataclass(frozen=True)
class TruthSource:
    """Where the ground truth of the eval set is published, and in which form.

    form: `list` (2020: one file, machine lines between the clips), `per_domain` (2021: a file per domain) or `folders`
    (2022 and later: labels and domains in a folder each). `wrong` names a published list that must not be used.
    """

    form: str
    record: int | None = None
    repository: str = ""
    commit: str = ""
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    file: str = ""
    also: str = ""
    wrong: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Edition:
    """One edition; sets are `dev` and `eval`, sections are two digits (the machine ids of 2020 among them).

    metrics: which clips an AUC is made of: `per_id` (2020), `per_domain` (2021), `all_anomalies` (2022 and later).
    names: patterns of file names by kind: `train`, `dev_test`, `eval_test`, `supplemental`, `labelled` (an eval test
    clip under the name that tells its label). score_file and decision_file are templates with `{machine}`, `{section}`,
    `{domain}`; the variants are further forms that are read but never written. counts: expected clips per section,
    `[normal, anomalous]` for test clips. own: the rules for own data, whose machines are not known in advance.
    """

    name: str
    title: str
    metrics: str
    machines: Mapping[str, tuple[str, ...]]
    sections: Mapping[str, Mapping[str, tuple[str, ...]]]
    names: Mapping[str, tuple[re.Pattern[str], ...]]
    score_file: str
    decision_file: str | None
    score_variants: tuple[str, ...]
    decision_variants: tuple[str, ...]
    result_keys: tuple[str, ...]
    truth: TruthSource
    domains: bool
    domain_in_eval_names: bool
    attributes: bool
    year: int | None = None
    page: str = ""
    paper: str = ""
    evaluator: str = ""
    channels: tuple[str, ...] = ()
    clip_seconds: str = ""
    hidden_attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    downloads: Mapping[str, Archive] = field(default_factory=dict)
    counts: Mapping[str, Any] = field(default_factory=dict)
    label_words: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    synthetic: bool = False
    own: bool = False

    def about(self) -> dict[str, Any]:
        """What participants want to know of an edition before anything else, as plain data without what is empty."""
        archives = {
            part: ". ".join(filter(None, [f"supersedes record {a.supersedes}" if a.supersedes else "", a.note]))
            for part, a in self.downloads.items()
        }
        facts = {
            "page": self.page,
            "paper": self.paper,
            "evaluator": self.evaluator and f"https://github.com/{self.evaluator}",
            "clip_seconds": self.clip_seconds,
            "channels": list(self.channels),
            "hidden_attributes": {key: list(machines) for key, machines in self.hidden_attributes.items()},
            "rules": list(self.rules),
            "records": {part: text for part, text in archives.items() if text},
            "notes": list(self.notes),
        }
        return {name: value for name, value in facts.items() if value}


def edition_names() -> list[str]:
    """`dcase2020` ... `dcase2026`, then `demo`."""
    return [*sorted(path.stem for path in FOLDER.glob("dcase*.yaml")), "demo"]


@cache
def load_edition(name: str, own: bool = False) -> Edition:
    """The edition of that name. With `own`, any name that does not look like an edition's gives the rules of own data.

    Raises UserError with the nearest name for an unknown one.
    """
    if name in edition_names():
        return _edition(name, _read(f"{name}.yaml"))
    if not own or re.fullmatch(r"dcase\d*", name, re.IGNORECASE):
        raise unknown("edition", name, edition_names())
    return replace(_own_rules(), name=name)


@cache
def load_common() -> dict[str, Any]:
    """`editions/common.yaml` as plain data: label pattern, package layout, the fields of meta.yaml, licences."""
    return _read("common.yaml")


@cache
def _own_rules() -> Edition:
    return _edition("own", _read("own.yaml"))


def _read(file_name: str) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return dict(yaml.load((FOLDER / file_name).read_text(encoding="utf-8"), Loader=loader))


def _edition(name: str, facts: dict[str, Any]) -> Edition:
    machines = {key: tuple(facts.get("machines", {}).get(key, ())) for key in SETS}
    submission = facts["submission"]
    plain: dict[str, Any] = {key: facts[key] for key in _PLAIN if key in facts}
    plain |= {key: tuple(facts.get(key, ())) for key in ("channels", "rules", "notes")}
    return Edition(
        name=name,
        machines=machines,
        sections={key: _sections(machines[key], facts.get("sections", {}).get(key, ())) for key in SETS},
        names=_patterns(facts["names"]),
        label_words=facts["names"].get("words", {}),
        examples=tuple(facts["names"]["examples"]),
        score_file=submission["score_file"],
        decision_file=submission["decision_file"],
        score_variants=tuple(submission.get("score_variants", ())),
        decision_variants=tuple(submission.get("decision_variants", ())),
        result_keys=tuple(submission["result_keys"]),
        truth=_truth_source(facts["truth"]),
        hidden_attributes={key: tuple(names) for key, names in facts.get("hidden_attributes", {}).items()},
        downloads=_downloads(facts.get("sets", {}), machines),
        **plain,
    )


def _sections(machines: tuple[str, ...], given: Any) -> dict[str, tuple[str, ...]]:
    """Sections by machine, whether they were written once for all machines or for each."""
    return {machine: tuple(given[machine] if isinstance(given, dict) else given) for machine in machines}


def _patterns(names: dict[str, Any]) -> dict[str, tuple[re.Pattern[str], ...]]:
    """Compiled patterns by kind; `labelled` is the form of the dev test clips unless the edition has its own."""
    kinds = {kind: names.get(kind, ()) for kind in ("train", "dev_test", "eval_test", "supplemental")}
    kinds["labelled"] = names.get("labelled", names["dev_test"])
    lists = {kind: [given] if isinstance(given, str) else given for kind, given in kinds.items()}
    return {kind: tuple(re.compile(text, re.ASCII) for text in texts) for kind, texts in lists.items()}


def _downloads(sets: dict[str, Any], machines: Mapping[str, tuple[str, ...]]) -> dict[str, Archive]:
    return {key: _archive(given, machines["dev" if key == "dev" else "eval"]) for key, given in sets.items()}


def _archive(given: dict[str, Any], machines: tuple[str, ...]) -> Archive:
    zips = {machine: given["zips"].format(machine=machine) for machine in machines}
    return Archive(
        record=given["record"],
        zips={**zips, **given.get("exceptions", {})},
        md5=given.get("md5", {}),
        tree=given["tree"],
        supersedes=given.get("supersedes"),
        note=given.get("note", ""),
    )


def _truth_source(given: dict[str, Any]) -> TruthSource:
    lists = {key: tuple(given.get(key, ())) for key in ("files", "folders")}
    return TruthSource(**{**given, **lists})


def set_of(edition: Edition, machine: str, section: str) -> str:
    """The set (`dev` or `eval`) that a section of a machine belongs to; own data is `dev`.

    Raises UserError when the edition has no such machine or section.
    """
    if edition.own:
        return "dev"
    for set_name in SETS:
        if section in edition.sections[set_name].get(machine, ()):
            return set_name
    known = sorted({name for names in edition.machines.values() for name in names})
    if machine not in known:
        raise unknown(f"machine of {edition.name}", machine, known)
    sections = [key for names in edition.sections.values() for key in names.get(machine, ())]
    raise UserError(f"{edition.name} has no section {section} of {machine}. Known: {', '.join(sections)}.")
