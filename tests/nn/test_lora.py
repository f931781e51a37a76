"""LoRA: what is adapted and trained, the published counts, merging, and files of what moved."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from asdcli.errors import UserError
from asdcli.nn.backbones.beats import Beats
from asdcli.nn.backbones.eat import Eat
from asdcli.nn.lora import LoraLinear, Target, add_lora, base_of, load_moved, merge_lora, moved_names, pack_moved

TINY: dict[str, Any] = {"depth": 2, "width": 32, "heads": 4, "hidden": 64, "lora_rank": 4, "lora_alpha": 8.0}
NETWORKS: dict[str, Callable[..., Any]] = {
    "beats": partial(
        Beats, (5_360,), patch_width=16, conv_kernel=8, conv_groups=4, layer_drop=0.0, lora="q+v+out", **TINY
    ),
    "eat rows": partial(Eat, (5_360,), target_frames=32, lora="q+v+proj", **TINY),
    "eat qkv": partial(Eat, (5_360,), target_frames=32, lora="qkv+proj", pool="statistics", **TINY),
}
EVERY = pytest.mark.parametrize("name", NETWORKS)
X = 0.1 * torch.randn(3, 5_360, generator=torch.Generator().manual_seed(1))


def started(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return NETWORKS[name](**options)


def moved(name: str) -> Any:
    """The network after two updates."""
    network = started(name)
    optimizer = torch.optim.Adam([value for value in network.parameters() if value.requires_grad], 0.01)
    for _ in range(2):
        network(X).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return network.eval()


def what_moved(network: nn.Module) -> dict[str, torch.Tensor]:
    names = moved_names(network)
    return {name: value for name, value in network.state_dict().items() if name in names}


def trained(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters() if value.requires_grad)


def test_the_layer_is_the_formula() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 6))
    weight, bias = network[0].weight, network[0].bias
    add_lora(network, [Target("0", parts=3, chosen=(0, 2))], rank=2, alpha=3.0)
    a, b = network[0].lora_a, nn.init.normal_(network[0].lora_b)
    x = torch.randn(4, 7, 5)
    expected = x @ weight.T + bias
    expected[..., :2] += 1.5 * x @ a[0].T @ b[0].T
    expected[..., 4:] += 1.5 * x @ a[1].T @ b[1].T
    torch.testing.assert_close(network(x), expected)


@EVERY
def test_it_starts_as_it_was(name: str) -> None:
    network, plain, after = started(name).eval(), started(name, lora="none").eval(), moved(name)
    with torch.no_grad():
        assert torch.equal(network(X), plain(X))
        assert not torch.equal(after(X), plain(X))


@EVERY
def test_merged_equals_unmerged(name: str) -> None:
    network = moved(name)
    merged = copy.deepcopy(network)
    merge_lora(merged)
    assert not [module for module in merged.modules() if isinstance(module, LoraLinear)]
    assert merged.state_dict().keys() == {key for key in network.state_dict() if "lora" not in key}
    with torch.no_grad():
        torch.testing.assert_close(merged(X), network(X), rtol=1e-5, atol=1e-5)


@EVERY
def test_only_lora_and_pooling_move(name: str) -> None:
    before, after = started(name).state_dict(), moved(name).state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {key for key in before if "lora_" in key or key.startswith("pooling.")}


def test_the_input_of_eat_may_move_too() -> None:
    network = Eat((5_360,), target_frames=32, lora="q+v+proj", lora_input=True, **TINY)
    inside = {name.split(".")[0] for name, value in network.named_parameters() if value.requires_grad}
    assert inside == {"extra_tokens", "local_encoder", "pre_norm", "blocks"}
    network(X).sum().backward()
    assert all(value.grad is not None for value in network.parameters() if value.requires_grad)


def test_as_many_values_move_as_published() -> None:
    """The 2024 winner tells 3.73 M and 11.25 M, of which the head is of a size it does not tell.

    Its EAT trained all that is not in the blocks: of the published file also the positions, which are fixed here, and
    the decoder of pre-training, which is left out here.
    """
    lora, statistics = 12 * 3 * 64 * (768 + 768), 197_760
    with torch.device("meta"):
        assert trained(Beats((160_000,), lora="q+v+out")) == lora == 3_538_944
        assert trained(Eat((160_000,), lora="q+v+proj")) == lora
        assert trained(Eat((160_000,), lora="qkv+proj")) == lora
        beats = trained(Beats((160_000,), lora="q+v+out", pool="statistics"))
        eat = trained(Eat((160_000,), lora="q+v+proj", pool="statistics", lora_input=True))
    assert beats == lora + statistics
    assert beats / 1e6 == pytest.approx(3.73, abs=0.01)
    positions, decoder = 6_144 * 768, 2_585_856
    assert eat - statistics - lora + positions + decoder == 7_504_128
    assert (eat + positions + decoder) / 1e6 == pytest.approx(11.25, abs=0.01)


@pytest.mark.parametrize(
    ("target", "rank", "alpha", "message"),
    [
        (Target("1.*"), 2, 2.0, "no linear layer is called '1.*'"),
        (Target("1"), 2, 2.0, "no linear layer is called '1'"),
        (Target("0"), 0, 2.0, "a rank of 1 or more"),
        (Target("0"), 2, 0.0, "a positive alpha"),
    ],
)
def test_what_cannot_be_is_refused(target: Target, rank: int, alpha: float, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("*", r"\*")):
        add_lora(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), [target], rank, alpha)


# --- files of what moved ----------------------------------------------------------------------------------------------

BASE = "8d1b" * 16


@EVERY
def test_a_file_of_what_moved_makes_the_same_network_of_its_base(name: str, tmp_path: Path) -> None:
    network, path = moved(name), tmp_path / "moved.safetensors"
    path.write_bytes(pack_moved(what_moved(network), BASE))
    whole = sum(value.numel() for value in network.state_dict().values())
    assert sum(value.numel() for value in what_moved(network).values()) < whole / 2
    other = started(name).eval()
    assert base_of(path) == BASE
    load_moved(other, path, BASE)
    with torch.no_grad():
        assert torch.equal(other(X), network(X))


def test_what_moved_from_another_base_is_refused(tmp_path: Path) -> None:
    network, path = started("eat rows"), tmp_path / "moved.safetensors"
    path.write_bytes(pack_moved(what_moved(network), "f" * 64))
    with pytest.raises(UserError, match=rf"moved from weights with the SHA-256 {'f' * 64}, but .* from {BASE}\."):
        load_moved(network, path, BASE)
    save_file(what_moved(network), path)
    with pytest.raises(UserError, match="moved from weights that it does not name"):
        load_moved(network, path, BASE)
    path.write_bytes(pack_moved(what_moved(started("beats")), BASE))
    with pytest.raises(
        UserError, match=r"moved\.safetensors does not fit Eat: it has no 'blocks\.0\.attn\.qkv\.lora_a'"
    ):
        load_moved(network, path, BASE)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="is no weight file"):
        load_moved(network, path, BASE)
