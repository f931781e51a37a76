"""EAT: self-supervised pre-training with efficient audio transformer (Chen et al. 2024, arXiv:2401.03497)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asdcli.audio.frontends.kaldi_fbank import KaldiFbank
from asdcli.nn.backbones.patch_transformer import PATCH, PatchTransformer, cut_patches
from asdcli.nn.lora import Target

BANDS = 128
EPSILON = 1e-6  # of the layer norms


class Eat(PatchTransformer):
    """EAT-base: 12 post-norm blocks of 768 channels on patches of 16 x 16 and a token [CLS], at fixed positions.

    85,254,144 parameters, 513 tokens. Every clip becomes `target_frames` frames: shorter ones are filled with zeros
    before they are normalised, longer ones are cut. Parameters are called as in the published safetensors file.

    Args:
        input_shape: `(samples,)` of one example, 16 kHz.
        weights: `random`, `eat` (30 epochs, as `asd download eat` places it), or the path of a file of this network:
            `.safetensors` as on Hugging Face, or `{"model": ...}` as fairseq saves it if it holds no code.
        pool: a clip's vector is `cls`, the token [CLS], or of the patches their `mean` or their attentive `statistics`
            (trained with the task; twice the size); or `tokens`: all patches, none of both.
        embedding: size of a clip's vector after a linear layer (trained with the task); 0 for the pooled one as it is.
        layer: the block whose tokens are used, 1 to `depth`; left out, the last.
        depth, width, heads, hidden: blocks, channels, attention heads, units of the feed-forward layers.
        target_frames: frames of a clip, a multiple of 16.
        mask_frames, mask_bands, mask_probability: what is hidden of the spectrogram in training (`SpectrogramMasks`).
        lora: trains LoRA of `lora_rank` and `lora_alpha` in every attention, and what comes after the blocks; the rest
            is frozen. On queries, values and output projection, `q+v+proj`, or on keys as well with one A for all
            three, `qkv+proj`.
        lora_input: with LoRA, patch embedding, [CLS] and their norm are trained, too.
        recompute: less memory in training for a second forward pass.
    """

    published = "eat"
    positions: Tensor

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        weights: str = "random",
        pool: Literal["mean", "cls", "statistics", "tokens"] = "mean",
        embedding: int = 0,
        layer: int | None = None,
        depth: int = 12,
        width: int = 768,
        heads: int = 12,
        hidden: int = 3072,
        target_frames: int = 1024,
        mask_frames: int = 0,
        mask_bands: int = 0,
        mask_probability: float = 1.0,
        lora: Literal["none", "q+v+proj", "qkv+proj"] = "none",
        lora_rank: int = 64,
        lora_alpha: float = 64.0,
        lora_input: bool = False,
        recompute: bool = False,
    ) -> None:
        super().__init__(
            input_shape,
            width=width,
            depth=depth,
            heads=heads,
            weights=weights,
            pool="tokens" if pool == "cls" else pool,
            embedding=embedding,
            layer=layer,
            layer_drop=0.0,
            masks=(mask_frames, mask_bands, mask_probability),
            recompute=recompute,
        )
        if width % 4:
            raise ValueError(f"width is {width}; sines and cosines of two axes share it, so it is a multiple of 4")
        if target_frames < PATCH or target_frames % PATCH:
            raise ValueError(f"target_frames is {target_frames}; it has to be a multiple of {PATCH}")
        self.cls = pool == "cls"
        self.frontend = KaldiFbank(
            window="hanning",
            int16_scale=False,
            subtract_mean=True,
            target_frames=target_frames,
            norm_mean=-4.268,
            norm_std=4.569,
        )
        self.local_encoder = nn.ModuleDict({"proj": nn.Conv2d(1, width, PATCH, PATCH)})
        self.extra_tokens = nn.Parameter(torch.empty(1, 1, width).normal_(std=0.02))
        self.register_buffer("positions", fixed_positions(target_frames // PATCH, width), persistent=False)
        self.pre_norm = nn.LayerNorm(width, EPSILON)
        self.blocks = nn.ModuleList(Block(width, heads, hidden) for _ in range(depth))
        for module in self.blocks.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        if lora != "none":
            qkv = Target("*.attn.qkv", 3, (0, 2)) if lora == "q+v+proj" else Target("*.attn.qkv")
            self.adapt([qkv, Target("*.attn.proj")], lora_rank, lora_alpha)
            for part in (self.local_encoder, self.pre_norm):
                part.requires_grad_(lora_input)
            self.extra_tokens.requires_grad_(lora_input)

    def tokens(self, waveform: Tensor) -> Tensor:
        """Waveforms `[batch, samples]`, full scale 1, 16 kHz, to `[batch, 1 + patches, width]`; [CLS] is the first."""
        x = cut_patches(self.local_encoder["proj"], self.features(waveform)) + self.positions
        x = torch.cat([self.extra_tokens.to(x.dtype).expand(len(x), -1, -1), x], 1)
        return self.run_blocks(self.pre_norm(x), self.blocks)

    def forward(self, waveform: Tensor) -> Tensor:
        """`[batch, samples]` to `[batch, embedding_size]`, or `[batch, patches, width]` with `pool: tokens`."""
        x = self.tokens(waveform)
        return self.project(x[:, 0] if self.cls else self.pooling(x[:, 1:]))

    def published_state(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Tensors named as on Hugging Face, or as fairseq has them under `model`.

        Left out: what was trained beside the encoder (the decoder, the averaged copy `_ema`, a fine-tuned classifier),
        and the positions, if they are the fixed ones.
        """
        model = content.get("model", content)
        if not isinstance(model, Mapping):
            raise ValueError(f"its 'model' is a {type(model).__name__} where tensors are needed")
        state = {_own_name(str(name)): value for name, value in model.items()}
        state = {name: value for name, value in state.items() if not name.startswith(NOT_OF_THE_ENCODER)}
        stored = state.pop("fixed_positional_encoder.positions", None)
        if stored is not None and not self._are_positions(stored):
            raise ValueError("its positions are not the fixed ones of EAT")
        return state

    def _are_positions(self, stored: Any) -> bool:
        width = self.positions.shape[1]
        if (
            not isinstance(stored, Tensor)
            or stored.ndim != 3
            or stored.shape[2] != width
            or stored.shape[1] % (BANDS // PATCH)
        ):
            return False
        expected = fixed_positions(stored.shape[1] // (BANDS // PATCH), width)
        return torch.allclose(stored[0].float(), expected, atol=1e-4)


NOT_OF_THE_ENCODER = ("_ema", "decoder.", "fc_norm.", "head.")


def _own_name(name: str) -> str:
    short = name.removeprefix("model.").removeprefix("modality_encoders.IMAGE.")
    return short.replace("context_encoder.norm.", "pre_norm.")


class Block(nn.Module):
    """Attention and feed-forward layer, each followed by a layer norm."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attn = Attention(width, heads)
        self.norm1 = nn.LayerNorm(width, EPSILON)
        self.mlp = Mlp(width, hidden)
        self.norm2 = nn.LayerNorm(width, EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.attn(x))
        return self.norm2(x + self.mlp(x))


class Attention(nn.Module):
    """Attention of several heads; the rows of `qkv` are those of queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # [batch, heads, tokens, size]
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


def fixed_positions(rows: int, width: int) -> Tensor:
    """Sines and cosines of the places of patches, `[rows * 8, width]`: the first half of the channels is of the band,
    the second of the row in time (He et al. 2022, arXiv:2111.06377, on a grid). Longer clips only add rows.
    """
    bands = BANDS // PATCH
    rate = 10_000 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))

    def axis(count: int) -> Tensor:
        angle = torch.arange(count, dtype=torch.float64)[:, None] * rate
        return torch.cat([angle.sin(), angle.cos()], 1)  # [count, width / 2]

    band, time = axis(bands).repeat(rows, 1), axis(rows).repeat_interleave(bands, 0)
    return torch.cat([band, time], 1).float()
