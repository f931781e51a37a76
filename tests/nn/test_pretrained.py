"""State dicts of torchvision's networks: from local files, and what is said when they are not there or wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers import none_published
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import get_model

from asdcli.errors import UserError
from asdcli.nn.pretrained import imagenet_state


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """A state dict as torchvision's files hold it, of other values."""
    torch.manual_seed(7)
    return dict(get_model("resnet18", weights=None).state_dict())


SAVE: dict[str, Callable[[dict[str, Tensor], Path], object]] = {".pth": torch.save, ".safetensors": save_file}


@pytest.mark.parametrize("suffix", SAVE)
def test_a_local_file_gives_its_values(suffix: str, state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    SAVE[suffix](state, path)
    found = imagenet_state("resnet18", str(path), none_published)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_an_old_file_without_counts_of_batches_loads(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({name: value for name, value in state.items() if "num_batches_tracked" not in name}, path)
    network = get_model("resnet18", weights=None)
    network.load_state_dict(imagenet_state("resnet18", str(path), none_published))
    assert torch.equal(network.fc.weight, state["fc.weight"])


@pytest.mark.parametrize(
    ("network", "change", "message"),
    [
        ("resnet18", {"bn1.bias": None}, "it has no 'bn1.bias'"),
        ("resnet18", {"fc.weight": torch.zeros(5, 512)}, r"'fc.weight' is \[5, 512\] where \[1000, 512\] is needed"),
        ("resnet18", {"fc.bias": "text"}, r"'fc.bias' is a str where \[1000\] is needed"),
        ("resnet18", {"head.bias": torch.zeros(3)}, "the network has no 'head.bias'"),
        (
            "resnet18",
            {f"layer4.1.{part}.weight": None for part in ("conv1", "conv2", "bn1", "bn2")},
            "it has no 'layer4.1.conv1.weight', 'layer4.1.bn1.weight', 'layer4.1.conv2.weight' and 1 more",
        ),
        (
            "resnet18",
            {"bn1.bias": None, "bn1.weight": torch.zeros(1), "a": torch.zeros(1), "b": torch.zeros(1)},
            r"it has no 'bn1.bias'; 'bn1.weight' is \[1\] where \[64\] is needed; the network has no 'a', 'b'",
        ),
        ("mobilenet_v2", {}, "it has no 'features.0.0.weight', .* and 259 more; the network has no 'conv1.weight', .*"),
    ],
)
def test_a_file_that_does_not_fit_is_told_by_its_first_differences(
    network: str, change: dict[str, object], message: str, state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "weights.pth"
    torch.save({name: value for name, value in {**state, **change}.items() if value is not None}, path)
    with pytest.raises(UserError, match=rf"weights\.pth does not fit torchvision's {network}: {message}\.$"):
        imagenet_state(network, str(path), none_published)


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", b"PK\x03\x04" + bytes(200)])
def test_other_bytes_are_no_weight_file(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} is no weight file"):
        imagenet_state("resnet18", str(tmp_path / name), none_published)


def test_one_tensor_is_no_weight_file(tmp_path: Path) -> None:
    torch.save(torch.zeros(3), tmp_path / "weights.pth")
    with pytest.raises(UserError, match="no weight file"):
        imagenet_state("resnet18", str(tmp_path / "weights.pth"), none_published)


def test_a_file_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return Path.touch, (tmp_path / "sprung",)  # type: ignore[return-value]

    torch.save({"conv1.weight": Trap()}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"would run code to be read \(.*pathlib\.Path.*\), which is refused"):
        imagenet_state("resnet18", str(tmp_path / "weights.pth"), none_published)
    assert not (tmp_path / "sprung").exists()


def test_a_missing_file_is_named_and_a_slip_of_the_pen_seen() -> None:
    with pytest.raises(UserError, match=r"There is no weight file /nowhere/m\.pth\.") as caught:
        imagenet_state("resnet18", "/nowhere/m.pth", none_published)
    assert "random, imagenet, or the path of a file" in caught.value.hint
    with pytest.raises(UserError, match="Did you mean 'imagenet'"):
        imagenet_state("resnet18", "imagnet", none_published)


def test_published_weights_lie_where_one_is_told(state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(state, tmp_path / "published.pth")
    asked: list[str] = []
    found = imagenet_state("resnet18", "imagenet", lambda name: asked.append(name) or tmp_path / "published.pth")  # type: ignore[func-returns-value]
    assert asked == ["imagenet_resnet18"]
    assert torch.equal(found["conv1.weight"], state["conv1.weight"])
    with pytest.raises(UserError, match=r"published\.pth does not fit torchvision's mobilenet_v2"):
        imagenet_state("mobilenet_v2", "imagenet", lambda name: tmp_path / "published.pth")
