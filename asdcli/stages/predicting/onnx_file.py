"""`asd export --to onnx`: a system of a finished run as one file, waveform in, score and embeddings out.

A file holds one detector of one section: what decides is one score with one threshold. What scores here is traced
(`onnx_graph.py`), and the graph is compared with it before anything is written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import asdcli
from asdcli.audio.store import SAMPLING_RATE_HZ, scaled
from asdcli.errors import UserError, unknown
from asdcli.recipe.schema import Method
from asdcli.stages.features import open_stores
from asdcli.stages.predicting import predict
from asdcli.stages.predicting.added import version_of
from asdcli.stages.predicting.network import fewest_channels
from asdcli.stages.predicting.predictors import BANK, Predictor
from asdcli.stages.selection import Selection
from asdcli.ui import Ui
from asdcli.workspace.checksums import Digests
from asdcli.workspace.files import write_atomic
from asdcli.workspace.made import Made
from asdcli.workspace.places import Workspace

if TYPE_CHECKING:
    from asdcli.stages.predicting.onnx_graph import OnnxGraph
    from asdcli.training.tasks.task import Task
    from asdcli.training.views.view import View

EXTRA = ("onnx", "onnxscript", "onnxruntime")  # what asdcli[edge] installs
FRONTENDS_KNOWN = ("logmel", "stft")
VIEWS_KNOWN = ("frame_windows", "whole_clips", "waveform_pieces")
FOLDER_HINT = "--to folder exports any recipe, for asd on another machine."
TOLERANCE = 1e-4  # the largest difference of graph and torch that is accepted, relative as `_difference` says
CLIPS = 4  # of the bank that they are compared on
NOISE = (0.003, 0.1)  # deviations of noise, full scale 1, beside these
ROUNDING = 1e-5  # differences of embeddings up to it are those of float32
TINY = 1e-12


@dataclass(frozen=True)
class OnnxFile:
    """What was written.

    metadata: as it stands in the file. parameters: of the network. multiply_accumulates: of one window, in products of
    matrices and convolutions. compared: what graph and torch were compared on. score_error, embedding_error: their
    largest differences there.
    """

    path: Path
    metadata: dict[str, str]
    outputs: list[str]
    bytes: int
    parameters: int
    multiply_accumulates: int
    compared: str
    score_error: float
    embedding_error: float


def of_selection(selection: Selection, out: Path, detector: str | None, section: str | None) -> OnnxFile:
    """Export a detector of the selection's first member and only machine; compared on clips of its bank and noise."""
    _refuse(selection.method(selection.members[0], selection.machines[0]), detector, out)
    predictor = predict.predictor_of(selection)
    clips = []
    for store in open_stores(selection, predictor.about.machine).stores.values():
        whole = np.flatnonzero((store.clips.split == "train") & (store.lengths == predictor.about.length))
        clips += [store.clip(row) for row in whole[:: -(-len(whole) // CLIPS) or 1]]
    return _export(predictor, detector, section, clips, out)


def of_run(
    workspace: Workspace,
    ui: Ui,
    folder: Path,
    machine: str | None,
    out: Path,
    detector: str | None,
    section: str | None,
) -> OnnxFile:
    """Export from the folder of a run, or a copy of one, where no clips are: compared on noise."""
    predictor = predict.predictor_in(workspace, ui, folder, machine)
    _refuse(predictor.method, detector, out)
    return _export(predictor, detector, section, [], out)


def _refuse(method: Method, detector: str | None, out: Path) -> None:
    """Raise UserError for what cannot be exported, as far as can be told without work."""
    if missing := [name for name in EXTRA if find_spec(name) is None]:
        raise UserError(
            f"An ONNX file takes packages that are not installed: {', '.join(missing)}.", "pip install 'asdcli[edge]'"
        )
    if out.exists():
        raise UserError(f"{out} is there already, and nothing is overwritten.", "Name another file with --output.")
    from asdcli.detection.detectors import DETECTORS
    from asdcli.detection.graphs import GRAPHS

    chosen = detector or next(iter(method.detectors))
    if chosen not in method.detectors:
        raise unknown("detector of the recipe", chosen, method.detectors)
    detectors = tuple(name for name, make in DETECTORS.items() if make in GRAPHS)
    others = [name for name, one in method.detectors.items() if one.name in detectors]
    for kind, component, known in (
        ("front end", method.frontend, FRONTENDS_KNOWN),
        ("view", method.view, VIEWS_KNOWN),
        ("detector", method.detectors[chosen], detectors),
    ):
        if component.plugin is None and component.name not in known:
            raise UserError(
                f"The {kind} {component.name} has no form as an ONNX graph here; {', '.join(known)} have.",
                f"--detector {others[0]}" if kind == "detector" and others else FOLDER_HINT,
            )


def _export(
    predictor: Predictor, detector: str | None, section: str | None, clips: Sequence[np.ndarray], out: Path
) -> OnnxFile:
    import torch

    about = predictor.about
    if section is None and len(about.sections) > 1:
        raise UserError(
            f"Of which section? {about.machine} has {', '.join(about.sections)}.", f"--section {about.sections[0]}"
        )
    here = section or about.sections[0]
    if here not in about.sections:
        raise unknown(f"section of {about.machine}", here, about.sections)
    listener = predict.Listener(predictor, torch.device("cpu"), predict.Options(detector, here))
    system = f"{about.recipe} {about.member}/{listener.detector} of {about.machine}"
    view, task = listener.network.of_silence(about.length)
    graph = _graph(predictor, view, task, listener.fitted(here), system)
    sounds = [*clips, *_noise(about.length, fewest_channels(predictor.method.channel))]
    compared = f"{len(clips)} clips of the bank and noise" if clips else "noise"
    scores, embeddings = _differences(predictor, listener, here, graph, sounds)
    if not np.max([scores, embeddings]) <= TOLERANCE:  # which is also no number where one of them is none
        alike = " It tells sounds apart by little more than rounding, as when it was hardly trained."
        raise UserError(
            f"As an ONNX graph, {system} differs from what is computed here, on {compared}: scores by {scores:.2g} and "
            f"embeddings by {embeddings:.2g}, where {TOLERANCE:g} is accepted. Nothing is written."
            f"{alike if embeddings <= ROUNDING else ''}",
            FOLDER_HINT,
        )
    metadata = _metadata(predictor, listener, here)
    content = graph.content(metadata)
    write_atomic(out, content)
    return OnnxFile(
        path=out,
        metadata=metadata,
        outputs=graph.outputs,
        bytes=len(content),
        parameters=sum(one.numel() for one in task.model.parameters()),
        multiply_accumulates=graph.multiply_accumulates,
        compared=compared,
        score_error=scores,
        embedding_error=embeddings,
    )


def _graph(predictor: Predictor, view: View, task: Task, detector: Any, system: str) -> OnnxGraph:
    from asdcli.detection.graphs import graph_of
    from asdcli.stages.predicting.onnx_graph import OnnxGraph
    from asdcli.training.waveform_embedding import WaveformEmbedding

    try:
        return OnnxGraph(WaveformEmbedding(predictor.method, view, task), graph_of(detector), predictor.about.length)
    except Exception as error:  # whatever torch stumbles over, in code that may be the user's
        told = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise UserError(f"{system} cannot be written as an ONNX graph: {told}", FOLDER_HINT) from error


def _noise(length: int, channels: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(deviation * rng.standard_normal((length, channels))).astype(np.float32) for deviation in NOISE]


def _differences(
    predictor: Predictor, listener: predict.Listener, section: str, graph: OnnxGraph, sounds: Sequence[np.ndarray]
) -> tuple[float, float]:
    """The largest of scores and of embeddings, between the graph and what is computed here.

    Relative: to the score, or where that is smaller to the deviation of the bank's own scores, so that decisions are
    equal wherever a score is farther from the threshold than that; to the largest value of an embedding.
    """
    from asdcli.stages.predicting.onnx_graph import SCORE

    deviation, scores, embeddings = listener.own(section).std(), [], []
    for samples in sounds:
        named = listener.network.embed([samples], section)
        score = float(listener.fitted(section).score(named)[0])
        found = graph.run(scaled(samples, predictor.method.channel))
        scores.append(abs(found[SCORE][0] - score) / max(abs(score), deviation, TINY))
        for name, values in named.items():
            embeddings.append(np.abs(found[name] - values).max() / max(np.abs(values).max(), TINY))
    return float(np.max(scores)), float(np.max(embeddings))


def _metadata(predictor: Predictor, listener: predict.Listener, section: str) -> dict[str, str]:
    """What a file says of itself; nothing of the machine that it was made on."""
    from asdcli.audio.frontends import FRONTENDS
    from asdcli.recipe.components import check

    about, method = predictor.about, predictor.method
    kept = listener.set_thresholds.get(section)
    threshold = {"threshold": repr(listener.threshold(section)), "threshold_set": kept.said if kept else ""}
    if kept is not None and kept.promised is not None:
        threshold["false_alarm_rate"] = repr(kept.promised)
    frontend = {"name": method.frontend.name, **check(FRONTENDS, "front end", method.frontend)}
    return {
        "recipe": about.recipe,
        "edition": about.edition,
        "member": about.member,
        "machine": about.machine,
        "section": section,
        "detector": listener.detector,
        "sample_rate_hz": str(SAMPLING_RATE_HZ),
        "samples": str(about.length),
        "channel": str(method.channel),
        "frontend": json.dumps(frontend),
        **threshold,
        "bank_sha256": Digests(["sha256"]).read(predictor.folder / BANK).hexdigests()["sha256"],
        "bank_clips": str(len(predictor.clips)),
        "bank_version": str(version_of(predictor.run, about.machine)),
        "run": Made(predictor.run).fingerprint() or "",
        **{package: version(package) for package in ("torch", *EXTRA)},
        "asd": asdcli.__version__,
    }
