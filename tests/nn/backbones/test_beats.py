"""BEATs: every stage of the golden vectors, the published sizes and names, and files that do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import DATA, none_published
from torch import Tensor, nn

from asdcli.audio.frontends.kaldi_fbank import KaldiFbank
from asdcli.errors import UserError
from asdcli.nn.backbones.beats import Beats, relative_bucket
from asdcli.nn.pretrained import check_fit

GOLDEN = np.load(DATA / "beats_tiny.npz")
CONFIG: dict[str, Any] = json.loads(str(GOLDEN["cfg_json"]))
TINY: dict[str, Any] = {
    "depth": 2,
    "width": 24,
    "heads": 4,
    "hidden": 48,
    "patch_width": 16,
    "conv_kernel": 8,
    "conv_groups": 4,
    "buckets": 20,
    "max_distance": 50,
}
WAVEFORM = torch.from_numpy(GOLDEN["waveform"])


def golden(key: str) -> Tensor:
    return torch.from_numpy(GOLDEN[key])


def content() -> dict[str, Any]:
    """What the golden network's file would hold."""
    model = {name.removeprefix("sd/"): golden(name) for name in GOLDEN.files if name.startswith("sd/")}
    return {"cfg": dict(CONFIG), "model": model}


def saved(folder: Path, held: dict[str, Any]) -> str:
    torch.save(held, folder / "beats.pt")
    return str(folder / "beats.pt")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved(tmp_path_factory.mktemp("beats"), content())


def from_file(path: str, **options: Any) -> Beats:
    network = Beats((16_000,), weights=path, **TINY, **options)
    network.load_pretrained(none_published)
    return network.eval()


class Given(nn.Module):
    """A front end that has heard the golden waveforms with the reference's own rounding."""

    def forward(self, waveform: Tensor) -> Tensor:
        return golden("fbank_norm").transpose(1, 2)


def seen(network: nn.Module, inside: dict[str, str]) -> dict[str, Tensor]:
    """What comes out of some of its parts when it hears the golden waveforms."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: found.update({name: output})

    for name, part in inside.items():
        network.get_submodule(part).register_forward_hook(keep(name))
    with torch.no_grad():
        network(WAVEFORM)
    return found


def close(found: Tensor, key: str, tolerance: float = 2e-5) -> None:
    torch.testing.assert_close(found, golden(key), rtol=0, atol=tolerance)


def test_the_front_end_is_golden() -> None:
    close(Beats((16_000,), **TINY).features(WAVEFORM).transpose(1, 2), "fbank_norm", 2e-3 / (2 * 6.55582))
    raw = KaldiFbank(window="povey", int16_scale=True)(WAVEFORM).transpose(1, 2)
    close(raw, "fbank_raw", 2e-3)  # near the floor, in ln energy


def test_every_stage_after_it_is_golden(file: str) -> None:
    network = from_file(file, pool="tokens")
    with torch.no_grad():
        close(network(WAVEFORM), "features", 5e-5)
    network.frontend = Given()
    parts = {
        "patch_embed": "patch_embedding",
        "after_layer_norm": "layer_norm",
        "after_post_extract_proj": "post_extract_proj",
        "pos_conv_out": "encoder.pos_conv",
        "encoder_input_after_ln": "encoder.layer_norm",
        "layer1_out": "encoder.layers.0",
        "layer2_out": "encoder.layers.1",
    }
    stages = seen(network, parts)
    stages["patch_embed"] = stages["patch_embed"].flatten(2).transpose(1, 2)
    stages["pos_conv_out"] = stages["pos_conv_out"][..., :-1].transpose(1, 2)  # an even kernel gives one too many
    for key, found in stages.items():
        close(found, key)
    with torch.no_grad():
        close(network(WAVEFORM), "features")
        close(network.encoder.position_bias(48), "rel_bias_48", 0)
    place = torch.arange(48)
    assert torch.equal(relative_bucket(place[None] - place[:, None], 20, 50), golden("rel_bucket_48"))


def test_a_clips_vector_is_the_mean_of_the_tokens_of_a_layer(file: str) -> None:
    with torch.no_grad():
        torch.testing.assert_close(from_file(file)(WAVEFORM), golden("features").mean(1), rtol=0, atol=5e-5)
        close(from_file(file, layer=1, pool="tokens")(WAVEFORM), "layer1_out", 5e-5)


def test_the_published_network_has_its_size() -> None:
    with torch.device("meta"):
        network = Beats((160_000,))
    assert sum(parameter.numel() for parameter in network.parameters()) == 90_311_792


def test_the_published_names_and_shapes_are_all_accounted_for() -> None:
    """250 tensors as in Microsoft's files, by the facts; none takes memory."""
    shapes = {
        "post_extract_proj.weight": (768, 512),
        "post_extract_proj.bias": (768,),
        "patch_embedding.weight": (512, 1, 16, 16),
        "layer_norm.weight": (512,),
        "layer_norm.bias": (512,),
        "encoder.layer_norm.weight": (768,),
        "encoder.layer_norm.bias": (768,),
        "encoder.pos_conv.0.bias": (768,),
        "encoder.pos_conv.0.weight_g": (1, 1, 128),
        "encoder.pos_conv.0.weight_v": (768, 48, 128),
    }
    for layer in (f"encoder.layers.{index}." for index in range(12)):
        for name in "kvq":
            shapes |= {f"{layer}self_attn.{name}_proj.weight": (768, 768), f"{layer}self_attn.{name}_proj.bias": (768,)}
        shapes |= {
            f"{layer}self_attn.out_proj.weight": (768, 768),
            f"{layer}self_attn.out_proj.bias": (768,),
            f"{layer}self_attn.grep_linear.weight": (8, 64),
            f"{layer}self_attn.grep_linear.bias": (8,),
            f"{layer}self_attn.grep_a": (1, 12, 1, 1),
            f"{layer}self_attn.relative_attention_bias.weight": (320, 12),
            f"{layer}self_attn_layer_norm.weight": (768,),
            f"{layer}self_attn_layer_norm.bias": (768,),
            f"{layer}fc1.weight": (3072, 768),
            f"{layer}fc1.bias": (3072,),
            f"{layer}fc2.weight": (768, 3072),
            f"{layer}fc2.bias": (768,),
            f"{layer}final_layer_norm.weight": (768,),
            f"{layer}final_layer_norm.bias": (768,),
        }
    assert len(shapes) == 250
    with torch.device("meta"):
        network = Beats((160_000,))
    tensors = {name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}
    found = network.published_state({"cfg": {}, "model": tensors})
    check_fit(Path("beats.pt"), "BEATs", network.encoder_state(), found)


def test_what_was_fine_tuned_on_audioset_loads_without_its_classifier(file: str, tmp_path: Path) -> None:
    held = content()
    held["model"] |= {"predictor.weight": torch.zeros(5, 24), "predictor.bias": torch.zeros(5)}
    network, plain = from_file(saved(tmp_path, held)), from_file(file)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), plain.parameters(), strict=True))


NORM = "encoder.layers.1.self_attn_layer_norm.weight"
TABLE = "encoder.layers.1.self_attn.relative_attention_bias.weight"
WEIGHT = "encoder.pos_conv.0.parametrizations.weight.original0"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({NORM: None}, f"it has no '{NORM}'"),
        ({NORM: torch.zeros(3)}, rf"'{NORM}' is \[3\] where \[24\] is needed"),
        ({NORM: "text"}, f"'{NORM}' is a str where"),
        ({"encoder.pos_conv.0.weight_g": None}, f"it has no '{WEIGHT}'"),
        ({"head.bias": torch.zeros(3)}, "the network has no 'head.bias'"),
        ({TABLE: None}, "it has 1 tables of the position bias where one per layer is needed"),
        ({TABLE: torch.zeros(20, 4)}, "the position bias of its layers is not one and the same"),
        ({TABLE: "text"}, "the position bias of its layers is not one and the same"),
    ],
)
def test_other_tensors_are_told(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    held = content()
    held["model"] = {name: value for name, value in {**held["model"], **changed}.items() if value is not None}
    with pytest.raises(UserError, match=rf"beats\.pt does not fit Beats: {message}"):
        from_file(saved(tmp_path, held))


@pytest.mark.parametrize(
    ("name", "value", "needed"),
    [("max_distance", 1280, 50), ("encoder_attention_heads", 2, 4), ("deep_norm", False, True)],
)
def test_other_settings_are_told(name: str, value: Any, needed: Any, tmp_path: Path) -> None:
    """They show in no shape."""
    held = content()
    held["cfg"][name] = value
    with pytest.raises(UserError, match=f"its setting {name} is {value} where {needed} is needed"):
        from_file(saved(tmp_path, held))


def test_bare_tensors_are_no_file_of_beats(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"it is not \{'cfg': settings, 'model': tensors\}"):
        from_file(saved(tmp_path, content()["model"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"buckets": 6}, "buckets is 6"),
        ({"buckets": 0}, "buckets is 0"),
        ({"max_distance": 5}, "max_distance 5"),
        ({"heads": 5}, "heads 5"),
        ({"depth": 0}, "depth is 0"),
        ({"layer": 0}, "layer is 0; this network has layers 1 to 2"),
        ({"layer_drop": 1.5}, r"layer_drop is 1\.5"),
        ({"dropout": -1.0}, "dropout"),
        ({"attention_dropout": 2.0}, "attention_dropout is 2"),
        ({"mask_frames": -1}, "mask_frames"),
        ({"lora": "q+v+out", "lora_rank": 0}, "a rank of 1 or more"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Beats((16_000,), **{**TINY, **options})
    with pytest.raises(ValueError, match="it takes waveforms"):
        Beats((5, 16), **TINY)


def test_clips_of_any_length_are_heard() -> None:
    network = Beats((16_000,), **TINY).eval()
    with torch.no_grad():
        for samples, rows in ((100, 1), (2_800, 1), (2_960, 1), (5_360, 2), (16_000, 6)):
            assert network.tokens(WAVEFORM[:, :samples]).shape == (2, 8 * rows, 24)
        padded = torch.nn.functional.pad(WAVEFORM[:, :100], (0, 2_700))
        assert torch.equal(network(WAVEFORM[:, :100]), network(padded))


def test_layers_are_left_out_in_training_alone() -> None:
    network = Beats((16_000,), layer_drop=1.0, pool="tokens", **TINY)
    every = Beats((16_000,), layer_drop=0.0, pool="tokens", **TINY)
    every.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(network.eval()(WAVEFORM), every.eval()(WAVEFORM))
        network.train().dropout.eval()
        network.encoder.dropout.eval()
        placed: list[Tensor] = []
        network.encoder.layer_norm.register_forward_hook(lambda module, inputs, output: placed.append(output))
        assert torch.equal(network(WAVEFORM), placed[0])
