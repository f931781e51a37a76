"""A waveform's way to its score, traced by torch and written as an ONNX graph."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property

import numpy as np
import onnx_ir
import torch
from onnx_ir.passes import Sequential
from onnx_ir.passes.common import ClearMetadataAndDocStringPass, RemoveUnusedNodesPass
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from asdcli.detection.graphs import Graph

WAVEFORM, SCORE = "waveform", "score"


class OnnxGraph:
    """`waveform` `[1, length]` to `score` `[1]` and the embeddings of the clip by name, `[1, ...]` each, all float32.

    Raises whatever torch stumbles over.

    Args:
        embedding: module from the waveform to named embeddings.
        score: of these.
        length: samples of a waveform.
    """

    def __init__(self, embedding: nn.Module, score: Graph, length: int) -> None:
        silence = torch.zeros(1, length)
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            named = embedding(silence)
            score(named)
        self.multiply_accumulates = counter.get_total_flops() // 2  # of products of matrices and convolutions
        self.outputs = [SCORE, *named]
        system = _System(embedding, score).eval().requires_grad_(False)
        with _quiet():
            program = torch.export.export(system, (silence,))
            made = torch.onnx.export(
                program, dynamo=True, input_names=[WAVEFORM], output_names=self.outputs, verbose=False
            )
            assert made is not None
            tidy = Sequential(
                RemoveUnusedNodesPass(), ClearMetadataAndDocStringPass()
            )  # files and lines of this machine
            self._model = onnx_ir.to_proto(tidy(made.model).model)

    def content(self, metadata: Mapping[str, str]) -> bytes:
        """The bytes of a file."""
        import onnx

        onnx.helper.set_model_props(self._model, dict(metadata))
        onnx.checker.check_model(self._model)
        content: bytes = self._model.SerializeToString()
        return content

    def run(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        """What onnxruntime makes of a waveform, `[length]` float32."""
        found = self._session.run(self.outputs, {WAVEFORM: waveform[None]})
        return dict(zip(self.outputs, found, strict=True))

    @cached_property
    def _session(self):  # type: ignore[no-untyped-def]
        from onnxruntime import InferenceSession

        return InferenceSession(self._model.SerializeToString(), providers=["CPUExecutionProvider"])


class _System(nn.Module):
    def __init__(self, embedding: nn.Module, score: Graph) -> None:
        super().__init__()
        self.embedding, self._score = embedding, score

    def forward(self, waveform: Tensor) -> list[Tensor]:
        named = self.embedding(waveform)
        return [self._score(named).float(), *(values.float() for values in named.values())]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what exporters say of themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
