"""`asd runs`: the trainings under the root, which of them a recipe here would find, and what may go."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from asdcli.audio.clips import concat, scan_clips
from asdcli.audio.packing import fresh_store
from asdcli.challenge.editions.edition import load_edition
from asdcli.errors import AsdError, UserError, few
from asdcli.recipe.loading import RECIPES, load_recipe
from asdcli.stages.features import MachineStores
from asdcli.stages.runs import find_run
from asdcli.stages.selection import Selection
from asdcli.stages.train import ABOUT
from asdcli.stages.traits import CodeNotRunError
from asdcli.ui import Ui
from asdcli.workspace.files import read_json
from asdcli.workspace.made import Made, unsealed
from asdcli.workspace.places import Workspace

REMOVED = ".removed"  # ends the name of a folder while it is deleted
CHANGED = {
    "recipe": "the recipe says otherwise now",
    "code": "the code of what it names is another",
    "numbers": "this version of asd trains otherwise",
    "weights": "it would start from other weights",
    "clips": "the training clips are others",
}


class _NotPackedError(AsdError):
    """The clips are not those of the store."""


class _NoDataError(AsdError):
    """The clips are not there now; a disk may be unplugged."""


@dataclass(frozen=True)
class ListedRun:
    """One run on disk. state: `fresh` (a command would find it), `stale`, `unfinished`, `no data` and `not checked`
    (nobody can tell), or `older layout`, which this version neither reads nor touches. why: in words, or what was said
    of its training. changed: in seconds since 1970.
    """

    run: str
    recipe: str
    edition: str
    member: str
    group: str
    seed: str
    state: str
    why: str
    bytes: int
    changed: float
    path: Path


@dataclass(frozen=True)
class Litter:
    """What no command would read any more. what: `run`, `embeddings`, `store`, or `rest` of what was removed."""

    what: str
    path: Path
    why: str
    bytes: int


def list_runs(workspace: Workspace) -> list[ListedRun]:
    """All runs, by place."""
    found = []
    for family in sorted((workspace.root / "runs").glob("*/*/*/*/seed_*")):
        if any(path.is_file() for path in family.iterdir()):
            found.append(_listed(family, family.name, "older layout", "made by asd 0.1.0"))
        for folder in sorted(path for path in family.iterdir() if path.is_dir() and not path.name.endswith(REMOVED)):
            found.append(_listed(folder, family.name, *_state(workspace, folder)))
    return found


def _listed(folder: Path, seed: str, state: str, why: str) -> ListedRun:
    own = folder.name != seed
    recipe, edition, member, group = (folder if own else folder / "x").parts[-6:-2]
    files = [path for path in folder.iterdir() if path.is_file()]
    changed = max((path.stat().st_mtime for path in files), default=0.0)
    name = folder.name if own else "-"
    about = (recipe, edition, member, group, seed.removeprefix("seed_"))
    return ListedRun(name, *about, state, why, sum(path.stat().st_size for path in files), changed, folder)


def _state(workspace: Workspace, folder: Path) -> tuple[str, str]:
    made = Made(folder)
    try:
        about = unsealed(read_json(folder / ABOUT))
        changed = _changed(workspace, _About.model_validate(about))
    except ValueError:
        if made.read():
            return "not checked", f"its {ABOUT} cannot be read; asd train writes it again"
        return "stale", f"its {ABOUT} cannot be read"
    except _NotPackedError:
        changed = ["clips"]
    except _NoDataError as error:
        return "no data", str(error)
    except CodeNotRunError as error:
        return "not checked", str(error)
    except AsdError as error:
        return "stale", str(error)
    if changed:
        return "stale", ", ".join(CHANGED[part] for part in changed)
    if not made.is_fresh(made.fingerprint() or ""):
        return "unfinished", ""
    alarms = made.read()["all"].get("alarms")
    return "fresh", str(alarms[-1]) if isinstance(alarms, list) and alarms else ""


class _About(BaseModel):
    """What `run.json` says of a run."""

    recipe: str
    profile: str
    edition: str
    sets: list[str]
    machines: list[str]
    member: str
    group: str
    seed: int
    parts: dict[str, Any]


def _changed(workspace: Workspace, about: _About) -> list[str]:
    """Names of the parts that would be others if the run were made today."""
    folder = Path(about.recipe)
    known = folder if (folder / "recipe.yaml").is_file() else RECIPES / folder.name
    if not (known / "recipe.yaml").is_file():
        raise UserError(f"its recipe {folder} is gone")
    machines = tuple(about.machines)
    selection = Selection(
        workspace,
        Ui(),
        load_edition(about.edition, own=True),
        load_recipe(str(known)),
        members=(about.member,),
        present=machines,
        machines=machines,
        sets=tuple(about.sets),
        seed=about.seed,
        device_choice="cpu",
        profile=about.profile,
        run_code=False,
    )
    today = find_run(selection, about.member, about.group, _stores_as_they_are).parts
    return [part for part in CHANGED if today[part] != about.parts.get(part)]


def _stores_as_they_are(selection: Selection, machine: str) -> MachineStores:
    stores = {}
    for set_name in selection.sets:
        if not selection.workspace.raw(selection.edition.name, set_name).is_dir():
            raise _NoDataError(f"no {set_name} set of {selection.edition.name} now")
    for set_name in selection.sets_of(machine):
        raw = selection.workspace.raw(selection.edition.name, set_name)
        clips, _ = scan_clips(raw, selection.edition, set_name, [machine])
        store = fresh_store(raw, clips, selection.workspace.store(selection.edition.name, set_name, machine))
        if store is None:
            raise _NotPackedError("the clips have changed")
        stores[set_name] = store
    if not stores:
        raise _NoDataError(f"no clips of {machine} in {selection.edition.name} now")
    return MachineStores(stores, concat([store.clips for store in stores.values()]), 0)


def find_listed(workspace: Workspace, names: Sequence[str]) -> list[ListedRun]:
    """Runs by name, or as much of its beginning as tells it from the others, or by folder."""
    runs = [run for run in list_runs(workspace) if run.state != "older layout"]
    return [_find_one(runs, name) for name in names]


def _find_one(runs: Sequence[ListedRun], name: str) -> ListedRun:
    matching = [run for run in runs if run.run.startswith(name) or run.path.resolve() == Path(name).resolve()]
    if not matching:
        raise UserError(f"There is no run '{name}'.", "asd runs")
    if len(matching) > 1:
        folders = few([str(run.path) for run in matching])
        raise UserError(f"{len(matching)} runs begin with '{name}'.", f"Name a folder, such as one of {folders}.")
    return matching[0]


def litter(workspace: Workspace) -> Iterator[Litter]:
    """What no recipe here would find: stale runs, embeddings of runs that are gone or stale, stores without clips."""
    runs = list_runs(workspace)
    for run in runs:
        if run.state == "stale":
            yield Litter("run", run.path, run.why, run.bytes)
    kept = {run.run for run in runs if run.state != "stale"}
    for made in sorted((workspace.root / "embeddings").glob("*/*/*/*/seed_*/made.json")):
        entry = Made(made.parent).read().get("all", {})
        if isinstance(entry.get("run"), str) and entry["run"] not in kept:
            yield Litter("embeddings", made.parent, "their run is stale or gone", _bytes(made.parent))
    for index in sorted((workspace.root / "store").glob("*/*/*/index.json")):
        edition, set_name, machine = index.parts[-4:-1]
        if machine.endswith(REMOVED):
            continue
        raw = workspace.raw(edition, set_name)
        unplugged = raw.is_symlink() and not raw.exists()
        if not unplugged and not (raw / machine).is_dir():
            yield Litter("store", index.parent, "its clips are gone", _bytes(index.parent))
    for top in ("runs", "embeddings", "store"):
        for rest in sorted((workspace.root / top).rglob(f".*{REMOVED}")):
            yield Litter("rest", rest, "a removal was cut off", _bytes(rest))


def remove(workspace: Workspace, folder: Path) -> None:
    """Delete a folder of results; a kill in between leaves nothing that could be taken for whole."""
    with workspace.lock(folder):
        gone = folder
        if not folder.name.endswith(REMOVED):
            gone = folder.with_name(f".{folder.name}{REMOVED}")
            shutil.rmtree(gone, ignore_errors=True)
            os.replace(folder, gone)
        shutil.rmtree(gone)
    for above in folder.parents:
        if above == workspace.root or any(above.iterdir()):
            break
        above.rmdir()


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
