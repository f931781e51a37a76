"""What the name of a clip and its folder say: section, domain, split, label, attributes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from asdcli.challenge.editions.edition import Edition

LABELS = {"normal": 0, "anomaly": 1}
UNKNOWN = -1

# What lies in a machine's folder, and the split of the clips in there.
SPLITS = {
    "train": "train",
    "test": "test",
    "source_test": "test",
    "target_test": "test",
    "supplemental": "supplemental",
}


@dataclass(frozen=True)
class ClipName:
    """One parsed name.

    section: two digits (a machine id in 2020). domain: `source`, `target` or `` (not told). split: `train`, `test` or
    `supplemental`. label: 0 normal, 1 anomaly, -1 not told. attributes: the free tail of the name; it is not split into
    keys and values, since values may hold any character: that is what attributes_XX.csv is for. kind: `noise`, `clean`
    or `` (not told) for supplemental clips.
    """

    section: str
    domain: str
    split: str
    label: int
    attributes: str = ""
    kind: str = ""


def parse_clip_name(edition: Edition, set_name: str, folder: str, file_name: str) -> ClipName | None:
    """What a file of the official tree is, or None when its name is not one of the edition's.

    folder: below the machine: `train`, `test`, `source_test`, `target_test`, `supplemental`; for own data also with
    further folders below (`test/anomaly`). set_name: `dev` or `eval`. Clips of the eval test set are also known under
    the labelled names that the baseline gives to its copies.
    """
    top, _, below = folder.strip("/").partition("/")
    split = SPLITS.get(top)
    if split is None or (below and not edition.own):
        return None
    domain = top.removesuffix("test").rstrip("_") if split == "test" else ""
    for pattern in edition.names[f"{set_name}_test" if split == "test" else split]:
        if match := pattern.fullmatch(file_name):
            return _checked(edition, _from_match(match, split), domain, below)
    if split == "test" and set_name == "eval" and (labelled := parse_labelled_name(edition, file_name)):
        return _checked(edition, labelled, domain, below)
    return _own_clip(edition, split, domain, below, file_name) if edition.own else None


def parse_labelled_name(edition: Edition, file_name: str) -> ClipName | None:
    """A test clip under a name that tells its label and domain, as in dev sets and in the lists of the baseline."""
    for pattern in edition.names["labelled"]:
        if match := pattern.fullmatch(file_name):
            return _from_match(match, "test")
    return None


def _from_match(match: re.Match[str], split: str) -> ClipName:
    found = match.groupdict()
    kind = found.get("kind") or ""
    domain = found.get("domain") or next((name for name in ("source", "target") if name in kind), "")
    label = LABELS.get(found.get("label") or "", 0 if split == "supplemental" else UNKNOWN)
    return ClipName(found["section"], domain, split, label, found.get("attributes") or "", _supplemental_kind(kind))


def _supplemental_kind(kind: str) -> str:
    """The sources disagree on the names of 2025, but all of them agree on these words."""
    if "noise" in kind:
        return "noise"
    return "clean" if "machine" in kind or "clean" in kind else ""


def _checked(edition: Edition, clip: ClipName, folder_domain: str, below: str) -> ClipName | None:
    """None for a clip in the folder of the other domain; own clips may have their label from the folder."""
    if folder_domain and clip.domain != folder_domain:
        return None
    if edition.own and clip.label == UNKNOWN:
        return replace(clip, label=_label_word(edition, below))
    return clip


def _own_clip(edition: Edition, split: str, domain: str, below: str, file_name: str) -> ClipName | None:
    """Any other .wav of own data: section 00, the label by a word of the file name, else of the nearest folder."""
    stem, dot, suffix = file_name.rpartition(".")
    if not dot or not stem or suffix.lower() != "wav":
        return None
    label = _label_word(edition, f"{below}/{stem}")
    if label == UNKNOWN and split != "test":
        label = 0
    return ClipName("00", domain, split, label)


def _label_word(edition: Edition, path: str) -> int:
    for part in reversed(path.split("/")):
        for word in re.findall("[a-z]+", part.lower()):
            if word in edition.label_words:
                return edition.label_words[word]
    return UNKNOWN
