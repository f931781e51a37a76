"""What the components of a recipe say of themselves, remembered: a command with nothing to do asks none of them.

Checking a method means importing networks, and with them torch: seconds. What the check told is kept under the root
(`.checked.json`) for as long as method, plug-ins and asd's own files are the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asdcli
from asdcli.errors import AsdError, UserError
from asdcli.recipe.components import Component, check, code_digest, lookup
from asdcli.recipe.schema import Method
from asdcli.stages.looking.describe import check_components, components, plugins, starts
from asdcli.workspace.files import read_json, write_atomic
from asdcli.workspace.made import digest, sealed, unsealed

MEMORY = ".checked.json"
REMEMBERED = 500  # methods; more than a root with all recipes and editions has


class CodeNotRunError(AsdError):
    """Only the code that a recipe names could tell, and this command does not run it."""


@dataclass(frozen=True)
class Traits:
    """A method that was checked, as plain data.

    settings: what the recipe says of training. code: of what trains, by component. starts: of each network what it
    starts from, as `describe.starts` says. frontend, view: with every default written out. pooling: what is said of
    it, and its code; None for the task's own. untouched: whether embeddings are those of a network as it starts.
    detectors: of each its code, with that of the threshold, and whether it asks for the classes of clips.
    """

    settings: dict[str, Any]
    code: dict[str, str]
    starts: list[list[str]]
    frontend: dict[str, Any]
    view: dict[str, Any]
    pooling: dict[str, Any] | None
    needs_features: bool
    untouched: bool
    detectors: dict[str, dict[str, Any]]


class Memory:
    """Traits by method, in a file that is only worth its time: whatever is wrong with it, it is made anew."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def traits(self, method: Method, run_code: bool = True) -> Traits:
        """The traits of a method, which is checked first if nothing is known of it.

        Raises UserError for a component that cannot be; CodeNotRunError if this takes a plug-in to be run and may not.
        """
        own = plugins(method)
        try:
            code = [plugin.digest() for plugin in own]
        except UserError:
            check_components(method, run_code=False)  # which knows the line of the recipe
            raise
        key = digest([method.model_dump(mode="json"), code])
        if (known := self._known.get(key)) is None:
            if own and not run_code:
                raise CodeNotRunError(f"its recipe names code, {own[0].file}, which is not run to list it")
            check_components(method)
            known = self._known[key] = _traits(method)
            self._save()
        return known

    @cached_property
    def _known(self) -> dict[str, Traits]:
        kept = unsealed(read_json(self.path)) or {}
        with contextlib.suppress(LookupError, TypeError, AttributeError):
            if kept["made_by"] == _sources() and len(kept["methods"]) < REMEMBERED:
                return {key: Traits(**entry) for key, entry in kept["methods"].items()}
        return {}

    def _save(self) -> None:
        entries = {key: asdict(traits) for key, traits in self._known.items()}
        with contextlib.suppress(OSError):
            write_atomic(self.path, json.dumps(sealed({"made_by": _sources(), "methods": entries})).encode())


def _traits(method: Method) -> Traits:
    from asdcli.audio.features import described
    from asdcli.detection.detectors import DETECTORS
    from asdcli.detection.thresholds import THRESHOLDS
    from asdcli.training.views import VIEWS

    view: Any = lookup(VIEWS, "view", method.view)
    threshold = code_digest(THRESHOLDS, method.threshold)
    return Traits(
        settings=_settings(method, view),
        code={
            f"{kind} {component.name}": code_digest(registry, component)
            for path, registry, kind, component in components(method)
            if path[0] not in ("pooling", "detectors", "threshold")  # which read what a training made
        },
        starts=[list(start) for start in starts(method)],
        frontend=described(method.frontend),
        view=check(VIEWS, "view", method.view),
        pooling=_pooling(method.pooling),
        needs_features=bool(view.needs_features),
        untouched=_untouched(method),
        detectors={
            name: {
                "code": [code_digest(DETECTORS, detector), threshold],
                "needs_labels": bool(getattr(lookup(DETECTORS, "detector", detector), "needs_labels", False)),
            }
            for name, detector in method.detectors.items()
        },
    )


def _pooling(named: Component | None) -> dict[str, Any] | None:
    from asdcli.nn.pooling import CLIP_POOLINGS

    if named is None:
        return None
    code = code_digest(CLIP_POOLINGS, named)
    return {"name": named.name, **check(CLIP_POOLINGS, "pooling", named), "code": code}


def _untouched(method: Method) -> bool:
    from asdcli.training.tasks import TASKS
    from asdcli.training.tasks.frozen import Frozen

    (*_, last) = method.phases.values()
    task: Any = lookup(TASKS, "task", last.task)
    if len(method.phases) > 1 or not isinstance(task, type) or not issubclass(task, Frozen):
        return False
    return not task.learns_from_whole_clips(**check(TASKS, "task", last.task))


def _settings(method: Method, view: Any) -> dict[str, Any]:
    """What the recipe says of training. Options of the view that only cut clips to be embedded are left out, and the
    path of a weight file, whose content counts.
    """
    from asdcli.training.tasks import TASKS

    settings = method.training()
    phases = [phase.task for phase in method.phases.values()]
    tasks: list[tuple[Any, dict[str, Any]]] = [(lookup(TASKS, "task", t), check(TASKS, "task", t)) for t in phases]
    if not any(task.learns_from_whole_clips(**params) for task, params in tasks):
        for option in view.embedding_options:
            settings["view"].pop(option, None)
    for network in (settings["model"], *settings["model"].get("branches", {}).values()):
        network.pop("weights", None)
    return settings


@cache
def _sources() -> str:
    """What a check depends on beside the method: asd's files by size and time, and who runs them."""
    marks = []
    for folder, _, files in os.walk(Path(asdcli.__file__).parent):
        for name in files:
            if name.endswith(".py"):
                stat = os.stat(f"{folder}/{name}")
                marks.append([folder, name, stat.st_size, stat.st_mtime_ns])
    return digest([sorted(marks), sys.version, version("torch"), version("pydantic")])
