"""`asd export`: what another machine needs of a finished run to predict, in one folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from asdcli.errors import UserError
from asdcli.stages.looking.describe import plugins
from asdcli.stages.predicting.network import Network
from asdcli.stages.predicting.predictors import FOLDER, Predictor
from asdcli.stages.predicting.set_thresholds import FILE
from asdcli.stages.train import ABOUT, LABELS, WEIGHTS
from asdcli.workspace.files import write_atomic
from asdcli.workspace.made import Made

FILES = (WEIGHTS, LABELS, "recipe.json", ABOUT, "log.jsonl", FILE)


def run(predictor: Predictor, out: Path) -> list[Path]:
    """Copy weights, thresholds and the predictor of one machine to a new folder, for `asd predict --run`.

    Raises UserError for a folder that is there already, and for recipes that name code of their own.
    """
    if plugins(predictor.method):
        raise UserError(
            f"{predictor.about.recipe} names code of its own beside its recipe, which is not exported.",
            "Install asd and copy recipe and root instead.",
        )
    if out.exists():
        raise UserError(f"{out} is there already, and nothing is overwritten.", "Name another folder with --output.")
    place = Path(FOLDER) / predictor.about.machine
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    (part / place.parent).mkdir(parents=True)
    for name in FILES:
        if (predictor.run / name).is_file():
            shutil.copy2(predictor.run / name, part / name)
    shutil.copy2(Made(predictor.run).path, part)
    _make_whole(predictor, part)
    shutil.copytree(predictor.folder, part / place)
    part.rename(out)
    return sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())


def _make_whole(predictor: Predictor, folder: Path) -> None:
    """Put all weights into a copy of a run that keeps only what moved: what it started from may not be there."""
    import torch
    from safetensors.torch import save

    from asdcli.nn.lora import base_of

    if not base_of(folder / WEIGHTS):
        return
    about, method = predictor.about, predictor.method
    network = Network(predictor.run, method, about.machine, torch.device("cpu"), predictor.workspace, predictor.ui)
    whole = network.of_silence(about.length)[1].state_dict()
    write_atomic(folder / WEIGHTS, save({name: value.contiguous() for name, value in whole.items()}))
    entry = Made(folder).read()["all"]
    told = {name: value for name, value in entry.items() if name not in ("fingerprint", "files", "written", "asd")}
    Made(folder).write(entry["fingerprint"], entry["files"], checked=list(entry["written"]), **told)
