"""Ground truth: which test clips are anomalous and of which domain, from the official lists or from file names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from asdcli.challenge.csvfile import read_rows, write_rows
from asdcli.challenge.editions.clipnames import LABELS, UNKNOWN, ClipName, parse_clip_name, parse_labelled_name
from asdcli.challenge.editions.correspondence import FILE, find_correspondences, read_correspondence
from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import Unit, units
from asdcli.errors import UserError

Section = tuple[str, str]
"""Machine and section."""

Clip = tuple[int, str]
"""Label (0 normal, 1 anomaly) and domain (`source`, `target` or `` when not told)."""

DOMAINS = ("source", "target")


@dataclass(frozen=True)
class Truth:
    """Labels and domains of test clips by machine and section.

    aliases: labelled clip name -> name in the evaluation set, for results of the baseline, which scores labelled
    copies. notes: sentences for the user about what was left out.
    """

    clips: Mapping[Section, Mapping[str, Clip]]
    aliases: Mapping[Section, Mapping[str, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def lookup(self, unit: Unit, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Labels (int64) and domains (str) `[clips]` of the clips of a score file, in its order; -1 where none is told.

        Raises UserError when the names are not exactly the clips of the unit, each once.
        """
        known = self.of(unit)
        if not known:
            raise UserError(f"There is no ground truth for {unit}.", " ".join(self.notes))
        aliases = self.aliases.get((unit.machine, unit.section), {})
        own = [name if name in known else aliases.get(_plain(name), name) for name in names]
        _check_names(unit, own, known)
        labels = np.array([known[name][0] for name in own], dtype=np.int64)
        return labels, np.array([known[name][1] for name in own], dtype="<U6")

    def knows(self, unit: Unit, names: Iterable[str]) -> bool:
        """Whether any of the clips is one that this truth is about."""
        section = unit.machine, unit.section
        known, aliases = self.clips.get(section, {}), self.aliases.get(section, {})
        return any(name in known or _plain(name) in aliases for name in names)

    def of(self, unit: Unit) -> Mapping[str, Clip]:
        """The clips of a unit; none where this truth is not about it."""
        clips = self.clips.get((unit.machine, unit.section), {})
        return {name: clip for name, clip in clips.items() if clip[1] == unit.domain} if unit.domain else clips


def _check_names(unit: Unit, names: Sequence[str], known: Mapping[str, Clip]) -> None:
    counts = Counter(names)
    if names and not counts.keys() & known.keys():
        raise UserError(
            f"No clip of the scores of {unit} is one of its {len(known)} test clips: they are named like {names[0]}, "
            f"the test clips like {next(iter(known))}.",
            "They may be of another section, set or edition.",
        )
    faults = {
        "without a score": [name for name in known if name not in counts],
        "unknown to the ground truth": [name for name in counts if name not in known],
        "scored more than once": [name for name, count in counts.items() if count > 1],
    }
    found = [f"{len(clips)} {fault} (first: {clips[0]})" for fault, clips in faults.items() if clips]
    if found:
        raise UserError(f"The scores of {unit} do not fit its {len(known)} test clips: {', '.join(found)}.")


def truth_from_clips(rows: Iterable[tuple[str, str, str, int, str]]) -> Truth:
    """Truth from rows of machine, section, clip name, label, domain.

    Clips without a label are left out, which a note says. Raises UserError when no clip at all has one.
    """
    clips: dict[Section, dict[str, Clip]] = {}
    unlabelled: dict[Section, list[str]] = {}
    for machine, section, name, label, domain in rows:
        if label == UNKNOWN:
            unlabelled.setdefault((machine, section), []).append(name)
        clips.setdefault((machine, section), {})[name] = (label, domain)
    notes = tuple(
        f"{len(names)} of {len(clips[machine, section])} test clips of {machine} section {section} do not tell in "
        f"their names whether they are anomalous and are left out (first: {names[0]})."
        for (machine, section), names in unlabelled.items()
    )
    if notes and sum(map(len, unlabelled.values())) == sum(map(len, clips.values())):
        raise UserError(notes[0], "Name the folder of the official ground truth with --truth DIR.")
    return Truth(clips, notes=notes)


def truth_from_names(edition: Edition, set_name: str, names: Mapping[Unit, Sequence[str]]) -> Truth:
    """Truth from clip names that carry their label, as in dev sets; `names` holds the clips of each unit.

    Names of own data may begin with folders below `test/` (`anomaly/clip7.wav`). Raises UserError for names that are
    not of the edition, lie in the wrong unit or carry two labels, and when none carries any.
    """
    rows = []
    for unit, clips in names.items():
        for name in clips:
            folder, _, file_name = name.rpartition("/")
            clip = parse_clip_name(edition, set_name, f"test/{folder}", file_name)
            if clip is not None and clip.conflict:
                raise UserError(f"The test clip {name} of {unit} has two labels: {clip.conflict}.")
            if clip is None or not _fits(unit, clip):
                raise UserError(f"{name} is not the name of a test clip of {unit} in {edition.name}.")
            rows.append((unit.machine, unit.section, name, clip.label, clip.domain))
    return truth_from_clips(rows)


def _fits(unit: Unit, clip: ClipName) -> bool:
    return clip.section == unit.section and unit.domain in ("", clip.domain)


def read_truth(folder: Path, edition: Edition) -> Truth:
    """Read official ground truth: a folder, the folder above it, or a list file.

    Understood are `ground_truth_data/` with `ground_truth_domain/` beside it (2022 and later), files
    `ground_truth_<machine>_section_XX[_<domain>]_test.csv` (2021, or labels alone), lists `eval_data_list*.csv` (2020,
    and those of the baseline), and files `attributes_XX_test_correspondence.csv` in folders named by machine type, in
    this order. Where several years lie side by side, the place with the most files of the edition is taken, and none
    that is named after another year. Raises UserError when there is none.
    """
    if folder.is_file():
        return _correspondence([folder], edition) if FILE.fullmatch(folder.name) else _read_list(folder, edition)
    if not folder.is_dir():
        raise UserError(f"There is no ground truth at {folder}: no such folder.")
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    fit = [place for place in places if _may_be_of(place, edition)]
    if files := max((_place_files(place, edition) for place in fit), key=len, default={}):
        return _read_sections(files, edition)
    lists = [path for place in places for path in sorted(place.glob("eval_data_list*.csv"))]
    if truth := _read_lists([path for path in lists if path.parent in fit and _may_be_of(path, edition)], edition):
        return truth
    if found := find_correspondences(folder, edition):
        return _correspondence(found, edition)
    expected = "eval_data_list.csv" if edition.truth.form == "list" else f"{edition.truth.folders[0]}/"
    others = ", ".join(path.name for path in (*places, *lists) if not _may_be_of(path, edition))
    raise UserError(
        f"{folder} holds no ground truth of {edition.name}: neither {expected} nor files of its form.",
        f"Of another year, by the name: {others}." if others else "",
    )


def read_truths(paths: Sequence[Path], edition: Edition) -> Truth:
    """Ground truth of several places as one, each perhaps of a part of the machines.

    Raises UserError when two of them tell different labels or domains of a clip.
    """
    truth = Truth({})
    for path in paths:
        truth = _joined(truth, read_truth(path, edition), path)
    return truth


def _joined(one: Truth, other: Truth, path: Path) -> Truth:
    """Both, where a labelled name that stands for a clip in either is no clip of its own. path: of the other."""
    clips, aliases = {**one.clips}, {**one.aliases}
    for section, added in other.clips.items():
        names = {**one.aliases.get(section, {}), **other.aliases.get(section, {})}
        known = {**one.clips.get(section, {})}
        for name, clip in added.items():
            before = known.get(name) or known.get(names.get(_plain(name), ""))
            if before is not None and not _agree(before, clip):
                raise UserError(
                    f"{path} contradicts the ground truth before it: {name} of {section[0]} is "
                    f"{_in_words(clip)} there, {_in_words(before)} before."
                )
            known[name] = clip if before is None or clip[1] else before
        final = {name: names.get(_plain(target), target) for name, target in names.items()}
        clips[section] = {name: clip for name, clip in known.items() if final.get(_plain(name), name) == name}
        if final:
            aliases[section] = final
    return Truth(clips, aliases, tuple(dict.fromkeys((*one.notes, *other.notes))))


def _agree(one: Clip, other: Clip) -> bool:
    return one[0] == other[0] and (one[1] == other[1] or not (one[1] and other[1]))


def _in_words(clip: Clip) -> str:
    words = {label: word for word, label in LABELS.items()}
    return " ".join(filter(None, (clip[1], words.get(clip[0], "of no known label"))))


def _correspondence(paths: Sequence[Path], edition: Edition) -> Truth:
    """Clips under their names without attributes; those with attributes are aliases."""
    clips: dict[Section, dict[str, Clip]] = {}
    aliases: dict[Section, dict[str, str]] = {}
    for path in paths:
        machine, section, rows = read_correspondence(path, edition)
        for with_attributes, without, label, domain in rows:
            clips.setdefault((machine, section), {})[without] = label, domain
            aliases.setdefault((machine, section), {})[_plain(with_attributes)] = without
    return Truth(clips, aliases)


def _may_be_of(path: Path, edition: Edition) -> bool:
    """Whether neither a file or folder nor, for `ground_truth_data/`, the one above is named after another year."""
    if path.name == "ground_truth_data":
        path = path.parent
    year = re.search(r"(?:dcase_?|list_|^)(20\d\d)(?![\d-])", path.name, re.IGNORECASE | re.ASCII)
    return edition.year is None or year is None or int(year[1]) == edition.year


def _place_files(place: Path, edition: Edition) -> dict[Unit, Path]:
    """Files of labels in `ground_truth_data/` there, or in the folder itself."""
    data = place if place.name == "ground_truth_data" else place / "ground_truth_data"
    return _section_files(data, edition) or _section_files(place, edition)


def _section_files(folder: Path, edition: Edition) -> dict[Unit, Path]:
    """Files of labels by unit; files of units that the edition lacks are left out."""
    if not folder.is_dir() or folder.name in ("ground_truth_domain", "ground_truth_attributes"):
        return {}
    form = re.compile(r"ground_truth_(.+)_section_(\d{2})(?:_(source|target))?_test\.csv", re.ASCII)
    expected = set() if edition.own or edition.truth.form == "list" else set(units(edition, "eval"))
    found = {}
    for path in sorted(folder.glob("ground_truth_*.csv")):
        match = form.fullmatch(path.name)
        unit = match and Unit(match[1], match[2], match[3] or "")
        if unit and (edition.own or unit in expected):
            found[unit] = path
    return found


def _read_lists(paths: Sequence[Path], edition: Edition) -> Truth | None:
    """The first list that is one of the edition; the fault of the first one when none is."""
    faults = []
    for path in paths:
        try:
            return _read_list(path, edition)
        except UserError as error:
            faults.append(error)
    if faults:
        raise faults[0]
    return None


def _read_sections(files: Mapping[Unit, Path], edition: Edition) -> Truth:
    clips: dict[Section, dict[str, Clip]] = {}
    aliases: dict[Section, dict[str, str]] = {}
    no_domain = []
    for unit, path in files.items():
        labels = _read_codes(path)
        domains = _domains(unit, path, labels, edition)
        if edition.domains and not all(domains.values()):
            no_domain.append(str(unit))
        section = clips.setdefault((unit.machine, unit.section), {})
        section.update({name: (label, domains[name]) for name, label in labels.items()})
        aliases.setdefault((unit.machine, unit.section), {}).update(_read_aliases(path, edition))
    notes = (f"The ground truth does not tell the domains of {', '.join(no_domain)}.",) if no_domain else ()
    return Truth(clips, {key: names for key, names in aliases.items() if names}, notes)


def _domains(unit: Unit, path: Path, labels: Mapping[str, int], edition: Edition) -> dict[str, str]:
    """Domain by clip: that of the file (2021), of `ground_truth_domain/` (2022 and later), or unknown."""
    beside = path.parent.parent / "ground_truth_domain" / path.name
    if unit.domain or path.parent.name != "ground_truth_data" or not beside.is_file():
        return dict.fromkeys(labels, unit.domain)
    codes = _read_codes(beside)
    if codes.keys() != labels.keys():
        odd = sorted(codes.keys() ^ labels.keys())
        raise UserError(f"{path} and {beside} name different clips: {len(odd)} stand in one only (first: {odd[0]}).")
    return {name: DOMAINS[code] for name, code in codes.items()}


def _read_aliases(path: Path, edition: Edition) -> dict[str, str]:
    """`ground_truth_attributes/`: the labelled names of each clip. Not read where the published one is wrong (2022).

    Where attributes were hidden (2024), a third column holds the name with them; results come under either name.
    """
    beside = path.parent.parent / "ground_truth_attributes" / path.name
    if edition.truth.wrong or path.parent.name != "ground_truth_data" or not beside.is_file():
        return {}
    return {_plain(labelled): row[0] for _, row in read_rows(beside) for labelled in row[1:]}


def _plain(name: str) -> str:
    """A labelled name in one form: with .wav, without the `_test_` that some lists leave out (RoboticArm in 2024)."""
    return re.sub(r"_(source|target)_test_", r"_\1_", name.removesuffix(".wav")) + ".wav"


def _read_codes(path: Path) -> dict[str, int]:
    """0 or 1 by clip name."""
    codes: dict[str, int] = {}
    for line, row in read_rows(path):
        if len(row) != 2:
            raise UserError(f"{path}, line {line}: {len(row)} columns instead of 2.")
        if row[1].strip() not in ("0", "1"):
            raise UserError(f"{path}, line {line}: '{row[1]}' is neither 0 nor 1.")
        if row[0] in codes:
            raise UserError(f"{path}, line {line}: {row[0]} stands twice.")
        codes[row[0]] = int(row[1].strip())
    return codes


def _read_list(path: Path, edition: Edition) -> Truth:
    """A list in one file: a line with the machine, then `eval name,labelled name[,0|1]` for each of its clips."""
    clips: dict[Section, dict[str, Clip]] = {}
    aliases: dict[Section, dict[str, str]] = {}
    wrong = edition.truth.wrong.get("machines", ())
    machine, skipped = "", []
    for line, row in read_rows(path):
        if len(row) == 1:
            machine = row[0].strip()
            if machine in wrong:
                skipped.append(machine)
            continue
        section, clip = _list_row(path, line, row, edition)
        if machine not in wrong:
            clips.setdefault((machine, section), {})[row[0]] = clip
            aliases.setdefault((machine, section), {})[_plain(row[1])] = row[0]
    expected = {(name, key) for name, keys in edition.sections["eval"].items() for key in keys}
    if not skipped and not clips.keys() & expected:
        raise UserError(f"{path} is not a list of the evaluation clips of {edition.name}.")
    why = f"{path.name} is wrong for {' and '.join(skipped)} and left out there: {edition.truth.wrong.get('why')}."
    return Truth(clips, aliases, (why,) if skipped else ())


def _list_row(path: Path, line: int, row: list[str], edition: Edition) -> tuple[str, Clip]:
    clip = parse_clip_name(edition, "eval", "test", row[0])
    labelled = parse_labelled_name(edition, row[1])
    if clip is None or labelled is None:
        raise UserError(f"{path}, line {line}: {','.join(row)} does not name a test clip of {edition.name}.")
    if len(row) > 2 and row[2].strip() != str(labelled.label):
        raise UserError(f"{path}, line {line}: the label {row[2]} contradicts the name {row[1]}.")
    return clip.section, (labelled.label, labelled.domain)


def write_truth(folder: Path, edition: Edition, truth: Truth) -> None:
    """Write ground truth in the official form of the edition; clips are sorted by name."""
    if edition.truth.form == "list":
        write_rows(folder / edition.truth.files[0], _list_rows(truth))
        return
    for (machine, section), clips in truth.clips.items():
        for kind, domain, rows in _section_rows(edition, clips):
            name = edition.truth.file.format(machine=machine, section=section, domain=domain)
            write_rows(folder / kind / name, rows)


def _list_rows(truth: Truth) -> Iterable[tuple[str, ...]]:
    words = {label: word for word, label in LABELS.items()}
    for machine in dict.fromkeys(machine for machine, _ in truth.clips):
        yield (machine,)
        for key in sorted(key for key in truth.clips if key[0] == machine):
            for name, (label, _) in sorted(truth.clips[key].items()):
                yield name, f"{words[label]}_{name}", str(label)


def _section_rows(edition: Edition, clips: Mapping[str, Clip]) -> Iterable[tuple[str, str, list[tuple[str, int]]]]:
    """Folder, domain in the file name, and rows of each file of one section."""
    ordered = sorted(clips.items())
    if edition.truth.form == "per_domain":
        for domain in DOMAINS:
            yield edition.truth.folders[0], domain, [(name, clip[0]) for name, clip in ordered if clip[1] == domain]
        return
    yield "ground_truth_data", "", [(name, clip[0]) for name, clip in ordered]
    if all(clip[1] for clip in clips.values()):
        yield "ground_truth_domain", "", [(name, DOMAINS.index(clip[1])) for name, clip in ordered]
