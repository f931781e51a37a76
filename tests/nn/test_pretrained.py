"""ImageNet weights: from torch's hub folder, from local files, and what is said when they are not there or wrong."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import MobileNet_V2_Weights, get_model

from asdcli.errors import UserError, WorkError
from asdcli.nn.pretrained import imagenet_state

URL = "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth"


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """A state dict as torchvision's files hold it, of other values."""
    torch.manual_seed(7)
    return dict(get_model("resnet18", weights=None).state_dict())


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub folder, and an address at which nobody answers."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}/mobilenet_v2-b0353104.pth"
    monkeypatch.setattr(
        "torchvision.models._api.load_state_dict_from_url",
        lambda url, **options: torch.hub.load_state_dict_from_url(dead, **options),
    )
    return folder


SAVE: dict[str, Callable[[dict[str, Tensor], Path], object]] = {".pth": torch.save, ".safetensors": save_file}


@pytest.mark.parametrize("suffix", SAVE)
def test_a_local_file_gives_its_values(suffix: str, state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    SAVE[suffix](state, path)
    found = imagenet_state("resnet18", str(path))
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_an_old_file_without_counts_of_batches_loads(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({name: value for name, value in state.items() if "num_batches_tracked" not in name}, path)
    network = get_model("resnet18", weights=None)
    network.load_state_dict(imagenet_state("resnet18", str(path)))
    assert torch.equal(network.fc.weight, state["fc.weight"])


@pytest.mark.parametrize(
    ("network", "change", "message"),
    [
        ("resnet18", {"bn1.bias": None}, "it has no 'bn1.bias'"),
        ("resnet18", {"fc.weight": torch.zeros(5, 512)}, r"'fc.weight' is \[5, 512\] where \[1000, 512\] is needed"),
        ("resnet18", {"fc.bias": "text"}, r"'fc.bias' is a str where \[1000\] is needed"),
        ("resnet18", {"head.bias": torch.zeros(3)}, "the network has no 'head.bias'"),
        ("mobilenet_v2", {}, "it has no 'features.0.0.weight'"),
        ("resnet50", {}, r"'layer1.0.conv1.weight' is \[64, 64, 3, 3\] where \[64, 64, 1, 1\] is needed"),
    ],
)
def test_a_file_that_does_not_fit_is_told_by_its_first_difference(
    network: str, change: dict[str, object], message: str, state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "weights.pth"
    torch.save({name: value for name, value in {**state, **change}.items() if value is not None}, path)
    with pytest.raises(UserError, match=rf"weights\.pth does not fit torchvision's {network}: {message}\.$"):
        imagenet_state(network, str(path))


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", b"PK\x03\x04" + bytes(200)])
def test_other_bytes_are_no_weight_file(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} is no weight file"):
        imagenet_state("resnet18", str(tmp_path / name))


def test_one_tensor_is_no_weight_file(tmp_path: Path) -> None:
    torch.save(torch.zeros(3), tmp_path / "weights.pth")
    with pytest.raises(UserError, match="no weight file"):
        imagenet_state("resnet18", str(tmp_path / "weights.pth"))


def test_a_file_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return Path.touch, (tmp_path / "sprung",)  # type: ignore[return-value]

    torch.save({"conv1.weight": Trap()}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="no weight file"):
        imagenet_state("resnet18", str(tmp_path / "weights.pth"))
    assert not (tmp_path / "sprung").exists()


def test_a_missing_file_is_named_and_a_slip_of_the_pen_seen() -> None:
    with pytest.raises(UserError, match=r"There is no weight file /nowhere/m\.pth\.") as caught:
        imagenet_state("resnet18", "/nowhere/m.pth")
    assert "random, imagenet, or the path of a file" in caught.value.hint
    with pytest.raises(UserError, match="Did you mean 'imagenet'"):
        imagenet_state("resnet18", "imagnet")


def test_without_a_line_the_error_says_what_to_fetch_and_where_it_goes(hub: Path) -> None:
    with pytest.raises(WorkError, match="The ImageNet weights of mobilenet_v2 cannot be had: ") as caught:
        imagenet_state("mobilenet_v2", "imagenet")
    assert URL in caught.value.hint
    assert str(hub / "checkpoints" / "mobilenet_v2-b0353104.pth") in caught.value.hint
    assert "name a local copy in the recipe" in caught.value.hint


def test_a_file_put_where_the_error_says_is_used(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = get_model("mobilenet_v2", weights=None).state_dict()
    (hub / "checkpoints").mkdir(parents=True)
    torch.save(state, hub / "checkpoints" / "mobilenet_v2-b0353104.pth")
    found = imagenet_state("mobilenet_v2", "imagenet")
    assert torch.equal(found["features.0.0.weight"], state["features.0.0.weight"])
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [({"x": torch.zeros(2)}, r"it has no 'features\.0\.0\.weight'"), (b"half", "no weight file")],
)
def test_a_wrong_file_in_the_hub_folder_is_named(hub: Path, content: object, message: str) -> None:
    file = hub / "checkpoints" / "mobilenet_v2-b0353104.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(content) if isinstance(content, bytes) else torch.save(content, file)
    with pytest.raises(WorkError, match=message) as caught:
        imagenet_state("mobilenet_v2", "imagenet")
    assert f"put it at {file} (in place of any file there)" in caught.value.hint


def test_a_download_with_another_hash_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """torch's own loader, on a file:// address: the hash in the name is not that of the content."""
    source = tmp_path / "there" / "mobilenet_v2-b0353104.pth"
    source.parent.mkdir()
    torch.save(get_model("mobilenet_v2", weights=None).state_dict(), source)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(MobileNet_V2_Weights, "url", source.as_uri())
    with pytest.raises(WorkError, match='invalid hash value \\(expected "b0353104"'):
        imagenet_state("mobilenet_v2", "imagenet")
    assert not list((tmp_path / "hub").rglob("*.pth"))
    assert not capsys.readouterr().out  # the announcement must not mix with --json


@pytest.mark.parametrize("network", ["mobilenet_v2", "resnet18", "resnet50", "wide_resnet50_2"])
def test_the_networks_of_the_recipes_have_published_weights(network: str, hub: Path) -> None:
    with pytest.raises(WorkError, match=network) as caught:
        imagenet_state(network, "imagenet")
    assert f"https://download.pytorch.org/models/{network}-" in caught.value.hint
