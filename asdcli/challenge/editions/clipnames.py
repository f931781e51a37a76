"""What the name of a clip and its folder say: section, domain, split, label, attributes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from asdcli.challenge.editions.edition import Edition

LABELS = {"normal": 0, "anomaly": 1}
UNKNOWN = -1

# What lies in a machine's folder, in capitals or not, and the split of the clips in there.
SPLITS = {
    "train": "train",
    "test": "test",
    "source_test": "test",
    "target_test": "test",
    "supplemental": "supplemental",
}


EXCLUDED = "excluded"
"""The split of clips that lie among the training clips and are labelled anomalous: nothing is trained on them."""

SOUND = (".wav", ".wave", ".flac", ".ogg", ".oga", ".w64", ".rf64", ".bw64")
"""How names of sound files end, in small letters; official names are those with .wav."""


@dataclass(frozen=True)
class ClipName:
    """One parsed name.

    section: two digits (a machine id in 2020). domain: `source`, `target` or `` (not told). split: `train`, `test`,
    `supplemental` or `excluded`. label: 0 normal, 1 anomaly, -1 not told. attributes: the free tail of the name; it is
    not split into keys and values, since values may hold any character: that is what attributes_XX.csv is for. kind:
    `noise`, `clean` or `` (not told) for supplemental clips. conflict: in words, where name and folders tell different
    labels.
    """

    section: str
    domain: str
    split: str
    label: int
    attributes: str = ""
    kind: str = ""
    conflict: str = ""


def parse_clip_name(edition: Edition, set_name: str, folder: str, file_name: str) -> ClipName | None:
    """What a file of the official tree is, or None when its name is not one of the edition's.

    Capitals tell nothing, and another form of sound file than .wav changes nothing. folder: below the machine: `train`,
    `test`, `source_test`, `target_test`, `supplemental`; for own data also with further folders below (`test/anomaly`).
    set_name: `dev` or `eval`. Clips of the eval test set are also known under the labelled names that the baseline
    gives to its copies.
    """
    top, _, below = folder.strip("/").partition("/")
    split = SPLITS.get(top.lower())
    if split is None or (below and not edition.own):
        return None
    domain = top.lower().removesuffix("test").rstrip("_") if split == "test" else ""
    if match := _match(edition, f"{set_name}_test" if split == "test" else split, file_name):
        return _checked(edition, _from_match(match, split), domain, f"{below}/{file_name}")
    if split == "test" and set_name == "eval" and (labelled := parse_labelled_name(edition, file_name)):
        return _checked(edition, labelled, domain, f"{below}/{file_name}")
    return _own_clip(edition, split, domain, f"{below}/{file_name}") if edition.own else None


def parse_labelled_name(edition: Edition, file_name: str) -> ClipName | None:
    """A test clip under a name that tells its label and domain, as in dev sets and in the lists of the baseline."""
    match = _match(edition, "labelled", file_name)
    return _from_match(match, "test") if match else None


def _match(edition: Edition, kind: str, file_name: str) -> re.Match[str] | None:
    """Of the name with .wav in place of what it ends in, capitals or not."""
    stem, ending = _ending(file_name)
    patterns = edition.names[kind] if ending else ()
    matches = (re.fullmatch(pattern.pattern, f"{stem}.wav", re.ASCII | re.IGNORECASE) for pattern in patterns)
    return next(filter(None, matches), None)


def _ending(file_name: str) -> tuple[str, str]:
    """The name without the ending of a sound file, and that ending; empty where it has none."""
    stem, dot, ending = file_name.rpartition(".")
    return (stem, dot + ending) if stem and f".{ending.lower()}" in SOUND else (file_name, "")


def _from_match(match: re.Match[str], split: str) -> ClipName:
    found = {key: value or "" for key, value in match.groupdict().items()}
    kind = found.get("kind", "").lower()
    domain = found.get("domain", "").lower() or next((name for name in ("source", "target") if name in kind), "")
    label = LABELS.get(found.get("label", "").lower(), 0 if split == "supplemental" else UNKNOWN)
    return ClipName(found["section"], domain, split, label, found.get("attributes", ""), _supplemental_kind(kind))


def _supplemental_kind(kind: str) -> str:
    """The sources disagree on the names of 2025, but all of them agree on these words."""
    if "noise" in kind:
        return "noise"
    return "clean" if "machine" in kind or "clean" in kind else ""


def _checked(edition: Edition, clip: ClipName, folder_domain: str, path: str) -> ClipName | None:
    """None for a clip in the folder of the other domain; own clips may have their label from the folder.

    path: of the clip, below `train/` or `test/`.
    """
    if folder_domain and clip.domain != folder_domain:
        return None
    if not edition.own:
        return clip
    folders = _label_words(edition, path.rpartition("/")[0])
    if clip.label == UNKNOWN:
        return _labelled(clip, folders)
    word = next(word for word, label in LABELS.items() if label == clip.label)
    return _labelled(clip, [("the name", word, clip.label), *folders])


def _own_clip(edition: Edition, split: str, domain: str, path: str) -> ClipName | None:
    """Any other sound file of own data: section 00, the label by words of the file name and of the folders."""
    folders, _, file_name = path.rpartition("/")
    stem, ending = _ending(file_name)
    if not ending:
        return None
    words = [("the name", word, label) for _, word, label in _label_words(edition, stem)]
    return _labelled(ClipName("00", domain, split, UNKNOWN), words + _label_words(edition, folders))


def _labelled(clip: ClipName, words: list[tuple[str, str, int]]) -> ClipName:
    """A clip with the label that all words tell; of training clips, normal without any, and excluded if anomalous."""
    labels = {label for _, _, label in words}
    if len(labels) > 1:
        told = dict.fromkeys(f"{where} says {word}" for where, word, _ in words)
        return replace(clip, conflict=", ".join(told))
    label = labels.pop() if labels else UNKNOWN if clip.split == "test" else 0
    return replace(clip, label=label, split=EXCLUDED if clip.split == "train" and label == 1 else clip.split)


def _label_words(edition: Edition, path: str) -> list[tuple[str, str, int]]:
    """Where a word stands that tells a label, the word and the label, part by part of a path."""
    return [
        (f"the folder {part}", word, edition.label_words[word])
        for part in path.split("/")
        for word in re.findall("[a-z]+", part.lower())
        if word in edition.label_words
    ]
