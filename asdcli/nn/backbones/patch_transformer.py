"""What BEATs and EAT share: from a waveform over the patches of its spectrogram and a stack of blocks to its vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asdcli.audio.augment.masks import SpectrogramMasks
from asdcli.errors import UserError
from asdcli.nn.lora import Target, add_lora
from asdcli.nn.pooling import POOLINGS
from asdcli.nn.pretrained import FindWeights, check_fit, read_weights, weight_file
from asdcli.nn.recompute import recomputed

PATCH = 16  # frames and mel bands of a patch; patches do not overlap
WINDOW = 400  # samples of a frame, 25 ms


class PatchTransformer(nn.Module):
    """A transformer of spectrogram patches that owns its front end, and its start from published weights.

    A subclass has `frontend` and `tokens`, and reads its own files with `published_state`.
    """

    published: ClassVar[str]  # the name of the published weights, which is what a recipe says for them
    shortest = WINDOW  # samples; shorter clips are filled with zeros
    frontend: nn.Module

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        width: int,
        depth: int,
        heads: int,
        weights: str,
        pool: str,
        embedding: int,
        layer: int | None,
        layer_drop: float,
        masks: tuple[int, int, float],
        recompute: bool,
    ) -> None:
        super().__init__()
        if len(input_shape) != 1:
            raise ValueError(f"it takes waveforms, one example of shape (samples,), not {tuple(input_shape)}")
        if min(width, depth, heads) < 1 or width % heads:
            raise ValueError(f"depth is {depth}, width {width} and heads {heads}; the heads share the width evenly")
        if layer is not None and not 1 <= layer <= depth:
            raise ValueError(f"layer is {layer}; this network has layers 1 to {depth}")
        if embedding < 0 or (embedding and pool == "tokens"):
            raise ValueError(
                f"embedding is {embedding}; it is the size of a clip's vector, 0 for the pooled one as it is"
            )
        if not 0 <= layer_drop <= 1:
            raise ValueError(f"layer_drop is {layer_drop:g}; it is a probability, 0 to 1")
        self.weights, self.pool, self.layer_drop, self.recompute = weights, pool, layer_drop, recompute
        self._layers_run = layer or depth
        self.masks = SpectrogramMasks(*masks)
        self.pooling = POOLINGS[pool](width)
        pooled = int(self.pooling.size)  # type: ignore[arg-type]
        self.project = nn.Linear(pooled, embedding) if embedding else nn.Identity()
        self.embedding_size = embedding or pooled

    def adapt(self, targets: list[Target], rank: int, alpha: float) -> None:
        """LoRA on the targets; beside it what comes after the blocks alone is trained. To be called when all layers are
        there.
        """
        add_lora(self, targets, rank, alpha)
        self.pooling.requires_grad_(True)
        self.project.requires_grad_(True)

    # --- forward --------------------------------------------------------------------------------------------------

    def forward(self, waveform: Tensor) -> Tensor:
        """`[batch, samples]` to `[batch, embedding_size]`, or `[batch, tokens, width]` with `pool: tokens`."""
        return self.project(self.pooling(self.tokens(waveform)))

    def tokens(self, waveform: Tensor) -> Tensor:
        """Waveforms `[batch, samples]`, full scale 1, 16 kHz, to `[batch, tokens, width]` of the chosen layer."""
        raise NotImplementedError

    def features(self, waveform: Tensor) -> Tensor:
        """The normalised log-mel spectrogram, `[batch, 128, frames]`, in float32 whatever the precision.

        In training parts of it are hidden.
        """
        with torch.no_grad(), torch.autocast(waveform.device.type, enabled=False):
            return self.masks(self.frontend(F.pad(waveform, (0, max(0, self.shortest - waveform.shape[1])))))

    def run_blocks(self, x: Tensor, blocks: nn.ModuleList, *others: Tensor) -> Tensor:
        """Tokens through the blocks up to the chosen layer.

        In training a block is left out with the probability `layer_drop`. With `recompute` a block is computed
        again in the backward pass, so that only what lies between blocks is kept in memory.
        """
        for block in blocks[: self._layers_run]:
            if self.training and self.layer_drop and torch.rand(()) < self.layer_drop:
                continue
            if self.recompute and torch.is_grad_enabled():
                x = recomputed(block, x, *others)
            else:
                x = block(x, *others)
        return x

    # --- published weights ----------------------------------------------------------------------------------------

    @classmethod
    def published_weights(cls, *, weights: str = "random", **others: object) -> str:
        return cls.published if weights == cls.published else ""

    def load_pretrained(self, find: FindWeights) -> None:
        """Put the weights that the recipe names in place; what no file has, LoRA and what comes after the blocks, stays
        as it starts.

        Raises:
            UserError: the file is missing, cannot be read safely, or differs from this network in names, shapes or
                settings.
            WorkError: the published weights cannot be had (as `find` says).
        """
        if self.weights == "random":
            return
        path = weight_file(self.published, self.published_weights(weights=self.weights), self.weights, find)
        try:
            found = self.published_state(read_weights(path))
        except ValueError as error:
            raise UserError(f"{path} does not fit {type(self).__name__}: {error}.") from error
        check_fit(path, type(self).__name__, self.encoder_state(), found)
        self.load_state_dict(found, strict=False)

    def encoder_state(self) -> dict[str, Tensor]:
        """What a published file has to hold: the state without LoRA and what comes after the blocks."""
        return {
            name: value
            for name, value in self.state_dict().items()
            if not name.startswith(("pooling.", "project.")) and not name.endswith((".lora_a", ".lora_b"))
        }

    def published_state(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """What a published file holds, under this network's names; what is known to be of no use here is left out.

        Raises ValueError for a file of other settings.
        """
        raise NotImplementedError


def cut_patches(convolution: nn.Module, features: Tensor) -> Tensor:
    """`[batch, bands, frames]` to `[batch, patches, channels]`, frames in order and the bands of each from low to high.

    Frames that do not fill a patch are left out.
    """
    return convolution(features.transpose(1, 2).unsqueeze(1)).flatten(2).transpose(1, 2)
