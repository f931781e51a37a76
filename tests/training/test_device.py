"""Choosing a device and saying which."""

from __future__ import annotations

import pytest
import torch

from asdcli.errors import UserError
from asdcli.training.device import describe, pick_device


def test_the_cpu_is_always_there() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert describe(torch.device("cpu")).startswith("CPU (")
    assert f"{torch.get_num_threads()} threads" in describe(torch.device("cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_an_error() -> None:
    assert pick_device("auto") == torch.device("cpu")
    with pytest.raises(UserError, match=r"--device cuda: (this torch is a CPU-only build|torch sees no NVIDIA GPU)"):
        pick_device("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_taken_and_named() -> None:
    assert pick_device("auto").type == pick_device("cuda").type == "cuda"
    assert torch.cuda.get_device_name() in describe(pick_device("cuda"))
