"""MobileFaceNet: the published sizes, and the golden embeddings of MobileAnoNet, which is the same family."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import DATA

from asdcli.nn.backbones import BACKBONES
from asdcli.nn.backbones.mobilefacenet import MobileFaceNet

GOLDEN = np.load(DATA / "mobileanonet_mfn.npz")
MOBILEANONET = [(2, 16, 5, 2), (4, 32, 1, 2), (2, 32, 6, 1), (4, 32, 1, 2), (2, 32, 2, 1)]


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "features", "parameters"),
    [
        ("mobilefacenet", 1024, 993_280),
        ("mobilefacenet", 512, 985_088),
        ("resnet50", 1024, 23_764_032),
        ("efficientnet_b0", 1024, 4_170_940),
    ],
)
def test_the_networks_of_the_2021_ensemble_have_their_size(name: str, features: int, parameters: int) -> None:
    assert count(BACKBONES[name]((features, 32))) == parameters


@pytest.fixture(scope="module")
def mobileanonet() -> MobileFaceNet:
    """The network with the golden weights, which stand in the order of the layers."""
    network = MobileFaceNet((1025, 64), stem=16, stages=MOBILEANONET, head=128, embedding=0)
    state = network.state_dict()
    own = [name for name in state if not name.endswith("num_batches_tracked")]
    given = [name for name in GOLDEN.files if name.startswith("sd/")]
    for name, golden in zip(own, given, strict=True):
        assert state[name].shape == GOLDEN[golden].shape
        state[name] = torch.from_numpy(GOLDEN[golden])
    network.load_state_dict(state)
    return network


def test_mobileanonet_has_its_size(mobileanonet: MobileFaceNet) -> None:
    assert count(mobileanonet) == 101_312


@torch.no_grad()
def test_mobileanonet_gives_the_golden_embeddings(mobileanonet: MobileFaceNet) -> None:
    x = torch.from_numpy(GOLDEN["input"])[:, 0]
    made = mobileanonet.eval()(x)
    torch.testing.assert_close(made, torch.from_numpy(GOLDEN["embedding_eval"]), rtol=0, atol=2e-5)
    made = mobileanonet.train()(x)
    torch.testing.assert_close(made, torch.from_numpy(GOLDEN["embedding_train_mode"]), rtol=0, atol=2e-4)
