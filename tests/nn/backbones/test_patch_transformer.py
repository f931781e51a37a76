"""What BEATs and EAT have in common: published weights or none, memory against time, precision."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import kept_for_backward, none_published
from safetensors.torch import save_file
from torch import Tensor

from asdcli.errors import UserError
from asdcli.nn.backbones.beats import Beats
from asdcli.nn.backbones.eat import Eat, fixed_positions
from asdcli.nn.backbones.patch_transformer import PatchTransformer
from asdcli.nn.pretrained import StartsPretrained

TINY: dict[type[PatchTransformer], dict[str, Any]] = {
    Beats: {"depth": 3, "width": 32, "heads": 4, "hidden": 64, "patch_width": 16, "conv_kernel": 8, "conv_groups": 4},
    Eat: {"depth": 3, "width": 32, "heads": 4, "hidden": 64, "target_frames": 64},
}
BOTH = pytest.mark.parametrize("kind", TINY)


def network(kind: type[PatchTransformer], seed: int = 0, **options: Any) -> PatchTransformer:
    torch.manual_seed(seed)
    return kind((8_000,), **{**TINY[kind], **options})  # type: ignore[call-arg]


def sound(count: int = 2, samples: int = 8_000) -> Tensor:
    return 0.1 * torch.randn(count, samples, generator=torch.Generator().manual_seed(1))


@BOTH
def test_a_vector_has_the_size_it_is_said_to_have(kind: type[PatchTransformer]) -> None:
    for pool, size in (("mean", 32), ("statistics", 64), ("tokens", 32)):
        model = network(kind, pool=pool)
        assert model(sound()).shape[-1] == model.embedding_size == size
        assert model(sound()).shape[0] == 2


@BOTH
def test_a_vector_may_go_through_a_linear_layer_that_is_trained(kind: type[PatchTransformer]) -> None:
    lora = {Beats: "q+v+out", Eat: "q+v+proj"}[kind]
    model = network(kind, pool="statistics", embedding=7, lora=lora)
    assert model(sound()).shape == (2, model.embedding_size) == (2, 7)
    trained = {
        name.partition(".")[0]
        for name, value in model.named_parameters()
        if "lora_" not in name and value.requires_grad
    }
    assert trained == {"pooling", "project"}
    assert not any(name.startswith("project.") for name in model.encoder_state())
    for options in ({"pool": "tokens", "embedding": 7}, {"embedding": -1}):
        with pytest.raises(ValueError, match="embedding is"):
            network(kind, **options)


@BOTH
def test_nothing_is_read_where_weights_are_random(kind: type[PatchTransformer]) -> None:
    model = network(kind)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert isinstance(model, StartsPretrained)
    assert model.published_weights() == kind.published_weights(weights="my.pt") == ""
    model.load_pretrained(none_published)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@BOTH
def test_the_published_weights_are_asked_for_by_name(kind: type[PatchTransformer], tmp_path: Path) -> None:
    name = kind.published
    assert kind.published_weights(weights=name, depth=3) == name
    with pytest.raises(UserError, match=rf"There is no weight file {tmp_path}/{name}\."):
        network(kind, weights=name).load_pretrained(lambda asked: tmp_path / asked)
    with pytest.raises(UserError, match=f"Did you mean '{name}'") as caught:
        network(kind, weights=f"{name}x").load_pretrained(none_published)
    assert f"weights is random, {name}, or the path of a file" in caught.value.hint


@BOTH
def test_a_file_that_holds_objects_is_refused_in_a_sentence(kind: type[PatchTransformer], tmp_path: Path) -> None:
    """As fairseq's files hold their settings."""
    held = {"cfg": argparse.Namespace(depth=3), "model": network(kind).state_dict()}
    torch.save(held, tmp_path / "weights.pt")
    with pytest.raises(UserError, match=r"weights\.pt would run code to be read \(argparse\.Namespace\), which is"):
        network(kind, weights=str(tmp_path / "weights.pt")).load_pretrained(none_published)


@BOTH
@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", b"PK\x03\x04" + bytes(200)])
def test_other_bytes_are_no_weight_file(kind: type[PatchTransformer], content: bytes, tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(content)
    with pytest.raises(UserError, match="is no weight file"):
        network(kind, weights=str(tmp_path / "weights.pt")).load_pretrained(none_published)


@BOTH
@pytest.mark.parametrize("model", [None, 3, "text", {}, {"a": 1}, {1: 2}])
def test_other_contents_are_told(kind: type[PatchTransformer], model: Any, tmp_path: Path) -> None:
    torch.save({"cfg": {}, "model": model}, tmp_path / "weights.pt")
    with pytest.raises(UserError, match=rf"weights\.pt does not fit {kind.__name__}: it"):
        network(kind, weights=str(tmp_path / "weights.pt")).load_pretrained(none_published)


@BOTH
def test_computing_blocks_twice_changes_no_gradient(kind: type[PatchTransformer]) -> None:
    """In training mode, with whatever is random in it."""
    gradients = []
    for recompute in (False, True):
        model = network(kind, pool="mean", recompute=recompute).train()
        torch.manual_seed(5)
        model(sound()).square().sum().backward()
        gradients.append([value.grad for value in model.parameters()])
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(again, plain, rtol=1e-5, atol=1e-6)


@BOTH
def test_computing_blocks_twice_keeps_less(kind: type[PatchTransformer]) -> None:
    plain, twice = (kept_for_backward(network(kind, recompute=chosen), sound()) for chosen in (False, True))
    assert twice < plain / 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Beats, Eat])
def test_full_fine_tuning_of_32_clips_takes_less_than_5_gb(kind: type[PatchTransformer]) -> None:
    """By arithmetic, in float32: weights, gradients, Adam's two moments, what blocks hand on, one block in full.

    What the CPU keeps; a GPU's kernels for attention may keep less.
    """

    def of_a_clip(**options: Any) -> float:
        """Bytes per clip; what does not grow with them is left out."""
        model = kind((160_000,), **options).train()  # type: ignore[call-arg]
        return kept_for_backward(model, sound(2, 160_000)) - kept_for_backward(model, sound(1, 160_000))

    with torch.device("meta"):
        weights = 4 * sum(value.numel() for value in kind((160_000,)).parameters())  # type: ignore[call-arg]
    block = of_a_clip(depth=2) - of_a_clip(depth=1)
    between = of_a_clip(recompute=True)
    assert 4 * weights + 32 * (between + block) < 5e9
    assert 4 * weights + 32 * (between + 11 * block) > 10e9  # without it


@BOTH
@torch.no_grad()
def test_half_precision_leaves_the_front_end_alone(kind: type[PatchTransformer]) -> None:
    model = network(kind).eval()
    with torch.autocast("cpu", torch.bfloat16):
        features, half = model.features(sound()), model(sound())
    assert torch.equal(features, model.features(sound()))
    torch.testing.assert_close(half.float(), model(sound()), rtol=0, atol=0.05)


@BOTH
def test_parts_of_the_spectrogram_are_hidden_in_training(kind: type[PatchTransformer]) -> None:
    model, plain = network(kind, mask_frames=30, mask_bands=60), network(kind)
    hidden = model.train().features(sound()) == 0
    assert torch.equal(hidden, hidden.all(1, keepdim=True) | hidden.all(2, keepdim=True))
    assert hidden.any()
    assert torch.equal(model.eval().features(sound()), plain.train().features(sound()))


@BOTH
def test_the_front_end_is_in_no_file(kind: type[PatchTransformer]) -> None:
    assert not [name for name in network(kind).state_dict() if name.startswith("frontend")]


@pytest.mark.slow  # files of 360 MB
@pytest.mark.parametrize(("kind", "size", "tensors"), [(Beats, 361_499_833, 250), (Eat, 359_905_840, 150)])
def test_a_file_of_the_published_size_loads(
    kind: type[PatchTransformer], size: int, tensors: int, tmp_path: Path
) -> None:
    """Names and shapes as published, other values: what was saved is what the network gives."""
    torch.manual_seed(0)
    whole = kind((48_000,))  # type: ignore[call-arg]
    content = published_form(whole)
    path = tmp_path / ("weights.pt" if kind is Beats else "weights.safetensors")
    if kind is Beats:
        torch.save({"cfg": {"max_distance": 800}, "model": content}, path)
    else:
        save_file(content, path)
    assert len(content) == tensors
    assert abs(path.stat().st_size / size - 1) < 1e-4
    other = kind((48_000,), weights=str(path))  # type: ignore[call-arg]
    other.load_pretrained(none_published)
    with torch.no_grad():
        assert torch.equal(other.eval()(sound(1, 48_000)), whole.eval()(sound(1, 48_000)))


def published_form(network: PatchTransformer) -> dict[str, Tensor]:
    """Its tensors under the names of the published file."""
    state = network.state_dict()
    if isinstance(network, Eat):
        return {f"model.{name}": value for name, value in state.items()} | {
            "model.fixed_positional_encoder.positions": fixed_positions(768, network.positions.shape[1])[None]
        }
    table = state.pop("encoder.relative_attention_bias.weight")
    old = {"original0": "weight_g", "original1": "weight_v"}
    for name in [name for name in state if ".parametrizations.weight." in name]:
        stem, _, last = name.rpartition(".")
        state[f"{stem.removesuffix('.parametrizations.weight')}.{old[last]}"] = state.pop(name)
    copies = {
        f"encoder.layers.{i}.self_attn.relative_attention_bias.weight": table.clone()
        for i in range(len(network.encoder.layers))
    }
    return state | copies


@BOTH
def test_with_lora_the_published_names_are_the_same(kind: type[PatchTransformer], tmp_path: Path) -> None:
    plain = network(kind)
    content = published_form(plain)
    torch.save({"cfg": {"max_distance": 800}, "model": content}, tmp_path / "weights.pt")
    lora = "q+v+out" if kind is Beats else "q+v+proj"
    adapted = network(kind, seed=1, lora=lora, pool="statistics", weights=str(tmp_path / "weights.pt"))
    adapted.load_pretrained(none_published)
    with torch.no_grad():
        assert torch.equal(adapted.eval().tokens(sound()), plain.eval().tokens(sound()))
