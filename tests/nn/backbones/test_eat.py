"""EAT: every stage of the golden vectors, the published sizes and names, and files that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import DATA, none_published
from safetensors.torch import save_file
from torch import Tensor, nn

from asdcli.audio.frontends.kaldi_fbank import KaldiFbank
from asdcli.errors import UserError
from asdcli.nn.backbones.eat import Eat, fixed_positions
from asdcli.nn.pretrained import check_fit

GOLDEN = np.load(DATA / "eat_tiny.npz")
TINY: dict[str, Any] = {"depth": 2, "width": 32, "heads": 4, "hidden": 128, "target_frames": 64}
WAVEFORM = torch.from_numpy(GOLDEN["waveform"])


def golden(key: str) -> Tensor:
    return torch.from_numpy(GOLDEN[key])


def fairseq() -> dict[str, Tensor]:
    """The golden network's tensors under fairseq's names."""
    return {name.removeprefix("sd/"): golden(name) for name in GOLDEN.files if name.startswith("sd/")}


def hugging_face() -> dict[str, Tensor]:
    """The same under the names of the safetensors file."""
    short = {name.removeprefix("modality_encoders.IMAGE."): value for name, value in fairseq().items()}
    return {f"model.{name.replace('context_encoder.norm', 'pre_norm')}": value for name, value in short.items()}


def saved(folder: Path, tensors: dict[str, Any]) -> str:
    save_file(tensors, folder / "eat.safetensors")
    return str(folder / "eat.safetensors")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved(tmp_path_factory.mktemp("eat"), hugging_face())


def from_file(path: str, **options: Any) -> Eat:
    network = Eat((8_000,), weights=path, **{**TINY, **options})
    network.load_pretrained(none_published)
    return network.eval()


class Given(nn.Module):
    """A front end that has heard the golden waveforms with the reference's own rounding."""

    def forward(self, waveform: Tensor) -> Tensor:
        return golden("model_input")[:, 0].transpose(1, 2)


def close(found: Tensor, key: str, tolerance: float = 2e-5) -> None:
    torch.testing.assert_close(found, golden(key), rtol=0, atol=tolerance)


def test_the_front_end_is_golden() -> None:
    close(Eat((8_000,), **TINY).features(WAVEFORM).transpose(1, 2)[:, None], "model_input", 2e-3 / (2 * 4.569))
    raw = KaldiFbank(window="hanning", int16_scale=False, subtract_mean=True)(WAVEFORM).transpose(1, 2)
    close(raw, "fbank_raw", 2e-3)  # near the floor, in ln energy


def test_every_stage_after_it_is_golden(file: str) -> None:
    network = from_file(file)
    with torch.no_grad():
        close(network.tokens(WAVEFORM), "features_all", 5e-5)
    network.frontend = Given()
    stages: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: stages.update({name: output, f"before {name}": inputs[0]})

    parts = {
        "patch_embed": "local_encoder.proj",
        "tokens_after_prenorm": "pre_norm",
        "block1_out": "blocks.0",
        "block1_ffn_target": "blocks.0.mlp",
    }
    for name, part in parts.items():
        network.get_submodule(part).register_forward_hook(keep(name))
    with torch.no_grad():
        close(network.tokens(WAVEFORM), "features_all")
    stages["patch_embed"] = stages["patch_embed"].flatten(2).transpose(1, 2)
    stages["tokens_before_prenorm"] = stages["before tokens_after_prenorm"]
    for key in (*parts, "tokens_before_prenorm"):
        close(stages[key], key)


@torch.no_grad()
def test_a_clips_vector_is_of_the_patches_or_the_token_cls(file: str) -> None:
    every = from_file(file).tokens(WAVEFORM)
    assert torch.equal(from_file(file)(WAVEFORM), every[:, 1:].mean(1))
    assert torch.equal(from_file(file, pool="cls")(WAVEFORM), every[:, 0])
    assert torch.equal(from_file(file, pool="tokens")(WAVEFORM), every[:, 1:])
    close(from_file(file, layer=1).tokens(WAVEFORM), "block1_out", 5e-5)


def test_positions_are_the_published_ones_and_only_grow() -> None:
    stored = golden("sd/modality_encoders.IMAGE.fixed_positional_encoder.positions")[0]
    torch.testing.assert_close(fixed_positions(12, 32), stored, rtol=0, atol=1e-6)
    assert torch.equal(fixed_positions(20, 32)[: 12 * 8], fixed_positions(12, 32))


def test_the_published_network_has_its_size() -> None:
    with torch.device("meta"):
        network = Eat((160_000,))
    assert sum(parameter.numel() for parameter in network.parameters()) == 85_254_144
    assert network.positions.shape == (512, 768)


def published_shapes() -> dict[str, tuple[int, ...]]:
    """150 tensors as in the file on Hugging Face, by the facts."""
    shapes: dict[str, tuple[int, ...]] = {
        "extra_tokens": (1, 1, 768),
        "local_encoder.proj.weight": (768, 1, 16, 16),
        "local_encoder.proj.bias": (768,),
        "fixed_positional_encoder.positions": (1, 6144, 768),
        "pre_norm.weight": (768,),
        "pre_norm.bias": (768,),
    }
    block = {"attn.qkv": (2304, 768), "attn.proj": (768, 768), "mlp.fc1": (3072, 768), "mlp.fc2": (768, 3072)}
    for index in range(12):
        for name, shape in {"norm1": (768,), "norm2": (768,), **block}.items():
            shapes |= {f"blocks.{index}.{name}.weight": shape, f"blocks.{index}.{name}.bias": shape[:1]}
    return {f"model.{name}": shape for name, shape in shapes.items()}


def test_the_published_names_and_shapes_are_all_accounted_for() -> None:
    shapes = published_shapes()
    assert len(shapes) == 150
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 89_972_736
    with torch.device("meta"):
        network = Eat((160_000,))
    tensors = {name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}  # which take no memory
    tensors["model.fixed_positional_encoder.positions"] = fixed_positions(768, 768)[None]
    check_fit(Path("eat.safetensors"), "EAT", network.encoder_state(), network.published_state(tensors))


def test_what_fairseq_saved_gives_the_same_network(file: str, tmp_path: Path) -> None:
    decoder = {"modality_encoders.IMAGE.decoder.blocks.0.0.weight": torch.zeros(4, 4, 3, 3)}
    held = {"cfg": {"model": "eat"}, "model": {**fairseq(), **decoder, "_ema": fairseq()}}
    torch.save(held, tmp_path / "eat.pt")
    network, plain = from_file(str(tmp_path / "eat.pt")), from_file(file)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), plain.parameters(), strict=True))


def test_an_older_file_with_fewer_positions_loads(tmp_path: Path) -> None:
    tensors = hugging_face()
    tensors["model.fixed_positional_encoder.positions"] = fixed_positions(4, 32)[None]
    tensors |= {"model.fc_norm.weight": torch.zeros(32), "model.head.weight": torch.zeros(5, 32)}
    from_file(saved(tmp_path, tensors))


POSITIONS = "model.fixed_positional_encoder.positions"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model.pre_norm.bias": None}, "it has no 'pre_norm.bias'"),
        (
            {"model.blocks.1.attn.qkv.bias": torch.zeros(3)},
            r"'blocks.1.attn.qkv.bias' is \[3\] where \[96\] is needed",
        ),
        ({"model.other": torch.zeros(3)}, "the network has no 'other'"),
        ({POSITIONS: torch.zeros(1, 96, 32)}, "its positions are not the fixed ones"),
        ({POSITIONS: torch.zeros(1, 97, 32)}, "its positions are not the fixed ones"),
        ({POSITIONS: torch.zeros(32)}, "its positions are not the fixed ones"),
        ({"\x1b[2J": torch.zeros(3)}, r"the network has no '\\x1b\[2J'"),
    ],
)
def test_other_tensors_are_told(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    tensors = {name: value for name, value in {**hugging_face(), **changed}.items() if value is not None}
    with pytest.raises(UserError, match=rf"eat\.safetensors does not fit Eat: {message}"):
        from_file(saved(tmp_path, tensors))


@torch.no_grad()
def test_clips_of_any_length_become_as_many_tokens(file: str) -> None:
    network = from_file(file)
    for samples in (1, 400, 8_000, 30_000):
        assert network.tokens(torch.randn(1, samples)).shape == (1, 33, 32)
    frames_of_64 = 400 + 63 * 160  # the mean over a longer clip is another
    noise = torch.randn(1, frames_of_64)
    noise -= noise.mean()
    torch.testing.assert_close(network(torch.cat([noise, -noise], 1)), network(noise), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_frames": 100}, "target_frames is 100"),
        ({"width": 30, "heads": 3}, "width is 30; sines"),
        ({"heads": 5}, "heads 5"),
        ({"layer": 3}, "layer is 3; this network has layers 1 to 2"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Eat((8_000,), **{**TINY, **options})
