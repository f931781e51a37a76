"""BEATs: audio pre-training with acoustic tokenizers (Chen et al. 2022, arXiv:2212.09058)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from asdcli.audio.frontends.kaldi_fbank import KaldiFbank
from asdcli.nn.backbones.patch_transformer import PATCH, WINDOW, PatchTransformer, cut_patches
from asdcli.nn.lora import Target


class Beats(PatchTransformer):
    """BEATs-base: 12 post-norm layers of 768 channels on patches of 16 x 16, with a gated relative position bias.

    90,311,792 parameters, 496 tokens for a clip of 10 s. Clips may have any length; those too short for one row of
    patches are filled with zeros. Names of the parameters are those of the published files, but for the table of the
    position bias, which stands there once per layer, and the weight norm's own.

    Args:
        input_shape: `(samples,)` of one example, 16 kHz.
        weights: `random`, `beats` (iteration 3, as `asd download beats` places it), or the path of a file
            `{"cfg": ..., "model": ...}` of the same network.
        pool: a clip's vector is the `mean` of its tokens or their attentive `statistics` (trained with the task; twice
            the size); or `tokens`, none of both.
        embedding: size of a clip's vector after a linear layer (trained with the task); 0 for the pooled one as it is.
        layer: the layer whose tokens are used, 1 to `depth`; left out, the last.
        depth, width, heads, hidden: layers, channels, attention heads, units of the feed-forward layers.
        patch_width: channels of the patches before they are projected to `width`.
        conv_kernel, conv_groups: of the convolution over tokens that tells where they stand.
        buckets, max_distance: of the relative position bias, see `relative_bucket`.
        dropout, attention_dropout, layer_drop: as in pre-training; only while it is trained.
        mask_frames, mask_bands, mask_probability: what is hidden of the spectrogram in training (`SpectrogramMasks`).
        lora: `q+v+out` trains LoRA of `lora_rank` and `lora_alpha` on these three layers of every attention, and what
            comes after the blocks; the rest is frozen.
        recompute: less memory in training for a second forward pass.
    """

    published = "beats"
    shortest = WINDOW + (PATCH - 1) * 160  # the 16 frames of one row of patches

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        weights: str = "random",
        pool: Literal["mean", "statistics", "tokens"] = "mean",
        embedding: int = 0,
        layer: int | None = None,
        depth: int = 12,
        width: int = 768,
        heads: int = 12,
        hidden: int = 3072,
        patch_width: int = 512,
        conv_kernel: int = 128,
        conv_groups: int = 16,
        buckets: int = 320,
        max_distance: int = 800,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        layer_drop: float = 0.05,
        mask_frames: int = 0,
        mask_bands: int = 0,
        mask_probability: float = 1.0,
        lora: Literal["none", "q+v+out"] = "none",
        lora_rank: int = 64,
        lora_alpha: float = 64.0,
        recompute: bool = False,
    ) -> None:
        super().__init__(
            input_shape,
            width=width,
            depth=depth,
            heads=heads,
            weights=weights,
            pool=pool,
            embedding=embedding,
            layer=layer,
            layer_drop=layer_drop,
            masks=(mask_frames, mask_bands, mask_probability),
            recompute=recompute,
        )
        if buckets < 4 or buckets % 4 or max_distance <= buckets // 4:
            raise ValueError(f"buckets is {buckets} and max_distance {max_distance}; see relative_bucket")
        if not 0 <= attention_dropout <= 1:
            raise ValueError(f"attention_dropout is {attention_dropout:g}; it is a probability, 0 to 1")
        self._settings = {
            "encoder_layers": depth,
            "encoder_embed_dim": width,
            "encoder_attention_heads": heads,
            "num_buckets": buckets,
            "max_distance": max_distance,
        }
        self.frontend = KaldiFbank(window="povey", int16_scale=True, norm_mean=15.41663, norm_std=6.55582)
        self.patch_embedding = nn.Conv2d(1, patch_width, PATCH, PATCH, bias=False)
        self.layer_norm = nn.LayerNorm(patch_width)
        self.post_extract_proj = nn.Linear(patch_width, width)
        self.dropout = nn.Dropout(dropout)
        self.encoder = Encoder(
            width, depth, heads, hidden, conv_kernel, conv_groups, buckets, max_distance, dropout, attention_dropout
        )
        if lora != "none":
            self.adapt([Target(f"*.self_attn.{name}_proj") for name in ("q", "v", "out")], lora_rank, lora_alpha)

    def tokens(self, waveform: Tensor) -> Tensor:
        x = cut_patches(self.patch_embedding, self.features(waveform))
        x = self.encoder.placed(self.dropout(self.post_extract_proj(self.layer_norm(x))))
        return self.run_blocks(x, self.encoder.layers, self.encoder.position_bias(x.shape[1]))

    def published_state(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """`{"cfg": settings, "model": tensors}`; the classifier of a file that was fine-tuned is left out."""
        settings, model = content.get("cfg"), content.get("model")
        if not isinstance(settings, Mapping) or not isinstance(model, Mapping):
            raise ValueError("it is not {'cfg': settings, 'model': tensors}, as BEATs is published")
        for name, value in {**FIXED, **self._settings}.items():
            if settings.get(name, value) != value:
                raise ValueError(f"its setting {name} is {settings[name]!r} where {value!r} is needed")
        state = {_own_name(str(name)): value for name, value in model.items()}
        state = {name: value for name, value in state.items() if not name.startswith("predictor.")}
        tables = [name for name in state if name.endswith(".relative_attention_bias.weight")]
        if len(tables) != self._settings["encoder_layers"]:
            raise ValueError(f"it has {len(tables)} tables of the position bias where one per layer is needed")
        first, *copies = (state.pop(name) for name in tables)
        if not all(isinstance(table, Tensor) and torch.equal(first, table) for table in (first, *copies)):
            raise ValueError("the position bias of its layers is not one and the same")
        return state | {"encoder.relative_attention_bias.weight": first}


# Settings of every published file that are built in here.
FIXED = {
    "input_patch_size": PATCH,
    "conv_bias": False,
    "activation_fn": "gelu",
    "layer_norm_first": False,
    "deep_norm": True,
    "relative_position_embedding": True,
    "gru_rel_pos": True,
}


def _own_name(name: str) -> str:
    """Published names are of the weight norm that torch had before it was a parametrization."""
    old = {"weight_g": "original0", "weight_v": "original1"}
    stem, _, last = name.rpartition(".")
    return f"{stem}.parametrizations.weight.{old[last]}" if last in old else name


class Encoder(nn.Module):
    """The transformer of BEATs: where tokens stand, and its layers."""

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        hidden: int,
        conv_kernel: int,
        conv_groups: int,
        buckets: int,
        max_distance: int,
        dropout: float,
        attention_dropout: float,
    ) -> None:
        super().__init__()
        self.max_distance = max_distance
        convolution = nn.Conv1d(width, width, conv_kernel, padding=conv_kernel // 2, groups=conv_groups)
        nn.init.normal_(convolution.weight, std=math.sqrt(4 * (1 - dropout) / (conv_kernel * width)))
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        self.pos_conv = nn.Sequential(weight_norm(convolution, dim=2), nn.GELU())
        self.layer_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.relative_attention_bias = nn.Embedding(buckets, heads)
        nn.init.normal_(self.relative_attention_bias.weight, std=0.02)
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, hidden, depth, dropout, attention_dropout) for _ in range(depth)
        )

    def placed(self, x: Tensor) -> Tensor:
        """Tokens with what a convolution over their neighbours says of their place, `[batch, tokens, width]`."""
        places = self.pos_conv(x.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2)
        return self.dropout(self.layer_norm(x + places))

    def position_bias(self, tokens: int) -> Tensor:
        """What every layer adds to the score of a query and a key, `[heads, tokens, tokens]`."""
        table = self.relative_attention_bias
        place = torch.arange(tokens, device=table.weight.device)
        distance = torch.arange(1 - tokens, tokens, device=place.device)
        values = table(relative_bucket(distance, table.num_embeddings, self.max_distance))  # [distances, heads]
        return values.T[:, place[None, :] - place[:, None] + tokens - 1]


class EncoderLayer(nn.Module):
    """Attention and feed-forward layer, each followed by a layer norm, with DeepNet's residuals and initial weights
    (Wang et al. 2022, arXiv:2203.00555): x = LN(a x + f(x)), a = (2 depth)^1/4.
    """

    def __init__(
        self, width: int, heads: int, hidden: int, depth: int, dropout: float, attention_dropout: float
    ) -> None:
        super().__init__()
        self.alpha, gain = (2 * depth) ** 0.25, (8 * depth) ** -0.25
        self.self_attn = GatedAttention(width, heads, attention_dropout, gain)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.final_layer_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        for linear in (self.fc1, self.fc2):
            nn.init.xavier_normal_(linear.weight, gain)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = self.self_attn_layer_norm(self.alpha * x + self.dropout(self.self_attn(x, bias)))
        return self.final_layer_norm(self.alpha * x + self.dropout(self.fc2(F.gelu(self.fc1(x)))))


class GatedAttention(nn.Module):
    """Attention of several heads, in which each query says how much the position bias counts for it.

    score = q k / sqrt(d) + g(q) bias, g = a (b c - 1) + 2, where the gates a and b are sigmoids of sums of linear maps
    of q and c is a value per head (WavLM, Chen et al. 2021, arXiv:2110.13900).
    """

    def __init__(self, width: int, heads: int, dropout: float, gain: float) -> None:
        super().__init__()
        self.heads, self.attention_dropout = heads, dropout
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.grep_linear = nn.Linear(width // heads, 8)
        self.grep_a = nn.Parameter(torch.ones(1, heads, 1, 1))
        for linear, own_gain in ((self.q_proj, 1), (self.k_proj, 1), (self.v_proj, gain), (self.out_proj, gain)):
            nn.init.xavier_normal_(linear.weight, own_gain)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        projections = (self.q_proj, self.k_proj, self.v_proj)
        q, k, v = (projection(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for projection in projections)
        gates = self.grep_linear(q).unflatten(3, (2, 4)).sum(4, keepdim=True).sigmoid()
        a, b = gates.unbind(3)  # [batch, heads, tokens, 1]
        gated = (a * (b * self.grep_a - 1) + 2) * bias
        dropout = self.attention_dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=gated.to(q.dtype), dropout_p=dropout)
        return self.out_proj(out.transpose(1, 2).flatten(2))


def relative_bucket(distance: Tensor, buckets: int, max_distance: int) -> Tensor:
    """Row of the bias table for a distance key - query in tokens (T5, Raffel et al. 2020).

    One half of the table is for keys after the query, the other for the rest. In each, the first half of the rows are
    of one distance each; the others widen logarithmically up to `max_distance` and beyond. So `buckets` is a multiple
    of 4, and `max_distance` more than a quarter of it.
    """
    half = buckets // 2
    exact = half // 2
    size = distance.abs()
    far = (size.clamp_min(1) / exact).log() / math.log(max_distance / exact) * (half - exact)
    row = torch.where(size < exact, size, (exact + far).long().clamp_max(half - 1))
    return row + half * (distance > 0)
