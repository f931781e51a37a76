"""Pretrained weights: the facts, and files that are compared before they are placed."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from server import Fault, Server, running
from torchvision.models import get_model_weights

from asdcli.download.transport import Line, Patience
from asdcli.download.weights import (
    PublishedWeights,
    bring_weights,
    fetch_weights,
    load_weights,
    need_weights,
    take_weights,
    weights_names,
)
from asdcli.errors import UserError, WorkError
from asdcli.ui import Ui

QUICK = Patience(tries=3, tries_at_first=2, first_wait=0.01, longest_wait=0.05)


class Bomb:
    """Whoever unpickles this fails the test."""

    def __reduce__(self) -> tuple:
        return pytest.fail, ("the file was unpickled",)


DATA = pickle.dumps(Bomb()) * 5000


@pytest.fixture
def server() -> Iterator[Server]:
    yield from running()


@pytest.fixture
def weights() -> PublishedWeights:
    """BEATs with the size and checksum of a file that is quicker to make."""
    return replace(load_weights("beats"), size=len(DATA), sha256=hashlib.sha256(DATA).hexdigest())


def test_the_facts() -> None:
    assert weights_names()[:2] == ("beats", "eat")
    beats, eat = load_weights("beats"), load_weights("eat")
    assert (beats.file, beats.size) == ("BEATs_iter3.pt", 361_499_833)
    assert beats.sha256 == "8d1b234032a9ccff353612dc6c20982346dc2968b205b79d97303eb5e77bfb34"
    assert beats.browser.startswith("https://1drv.ms/")
    assert (eat.file, eat.size) == ("EAT-base_epoch30_pretrain.safetensors", 359_905_840)
    assert eat.sha256 == "8623072d09aac4f3ad1168b4fed3a24e4f68fe1da25b9fe733375efb237e5f48"
    assert all(w.licence.startswith("MIT") for w in (beats, eat))
    with pytest.raises(UserError, match="Did you mean 'beats'"):
        load_weights("beat")


@pytest.mark.parametrize("network", ["resnet18", "wide_resnet50_2", "mobilenet_v2"])
def test_the_imagenet_weights_are_those_of_torchvision(network: str) -> None:
    theirs = get_model_weights(network)["IMAGENET1K_V1"]
    found = load_weights(f"imagenet_{network}")
    assert (found.hosts, found.file) == ((theirs.url,), theirs.url.rpartition("/")[2])
    assert found.sha256.startswith(re.search(r"-([0-9a-f]{8})\.pth$", theirs.url)[1])  # type: ignore[index]
    assert len(found.sha256) == 64
    assert found.size is None or abs(found.size / 2**20 - theirs.meta["_file_size"]) < 0.01


def test_a_file_of_an_installed_package_is_used_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = replace(load_weights("imagenet_efficientnet_lite0"), package="weights-of-a-test")
    weights = replace(weights, size=len(DATA), sha256=hashlib.sha256(DATA).hexdigest())

    def needed() -> Path:
        return need_weights(weights, tmp_path / "weights", Line(None, QUICK), Ui())

    with pytest.raises(UserError, match="weights-of-a-test, which is not installed"):
        needed()
    about = tmp_path / "site" / "weights_of_a_test-0.1.dist-info" / "METADATA"
    about.parent.mkdir(parents=True)
    about.write_text("Metadata-Version: 2.1\nName: weights-of-a-test\nVersion: 0.1\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    file = tmp_path / "site" / weights.inside
    file.parent.mkdir(parents=True)
    file.write_bytes(DATA[:-1])
    with pytest.raises(UserError, match="which has another file"):
        needed()
    file.write_bytes(DATA)
    assert needed() == file
    source = tmp_path / "mine.pth"
    source.write_bytes(DATA)
    take_weights(weights, source, tmp_path / "weights")
    assert needed() == tmp_path / "weights" / weights.file


def test_what_is_missing_is_brought_once(server: Server, weights: PublishedWeights, tmp_path: Path) -> None:
    server.pages[weights.hosts[0].removeprefix("https://huggingface.co")] = DATA
    for _ in range(2):
        path = bring_weights(replace(weights, size=None), tmp_path / "weights", Line(server.url, QUICK), Ui())
        assert path.read_bytes() == DATA
        server.pages.clear()


def test_the_next_host_is_asked(server: Server, weights: PublishedWeights, tmp_path: Path) -> None:
    path = weights.hosts[1].removeprefix("https://huggingface.co")
    server.pages[path] = DATA
    server.faults["BEATs_iter3.pt"] = [Fault(status=401, body=b"no"), Fault(cut=30_000), Fault(cut=1)]
    assert fetch_weights(weights, tmp_path, Line(server.url, QUICK)) == weights.hosts[1]
    assert [path.name for path in tmp_path.iterdir()] == ["BEATs_iter3.pt"]
    assert weights.is_in(tmp_path)


def test_no_host(server: Server, weights: PublishedWeights, tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="404") as caught:
        fetch_weights(weights, tmp_path, Line(server.url, QUICK))
    assert "works only in a browser: open https://1drv.ms/" in caught.value.hint
    assert "asd download beats --from FILE" in caught.value.hint
    assert weights.sha256 in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_work_that_needs_them_says_what_to_download(server: Server, weights: PublishedWeights, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"The weights beats are not here and could not be fetched: .*404") as caught:
        need_weights(weights, tmp_path, Line(server.url, QUICK), Ui())
    assert f"fetch {weights.hosts[0]} by hand" in caught.value.hint
    assert f"The file has {weights.size} bytes" in caught.value.hint
    server.pages[weights.hosts[0].removeprefix("https://huggingface.co")] = DATA
    assert need_weights(weights, tmp_path, Line(server.url, QUICK), Ui()).read_bytes() == DATA


def test_other_contents_are_refused(server: Server, weights: PublishedWeights, tmp_path: Path) -> None:
    server.pages[weights.hosts[0].removeprefix("https://huggingface.co")] = DATA[:-1] + b"x"
    with pytest.raises(WorkError, match="wrong contents: sha256"):
        fetch_weights(weights, tmp_path, Line(server.url, QUICK))
    assert not (tmp_path / weights.file).exists()


def test_a_file_fetched_by_hand(weights: PublishedWeights, tmp_path: Path) -> None:
    source = tmp_path / "Download (1).bin"
    source.write_bytes(DATA)
    take_weights(weights, source, tmp_path / "weights")
    assert [path.name for path in (tmp_path / "weights").iterdir()] == [weights.file]
    assert weights.is_in(tmp_path / "weights")
    assert source.exists()


@pytest.mark.parametrize(("data", "fault"), [(DATA[:-1], "bytes instead of"), (DATA[:-1] + b"x", "sha256")])
def test_a_wrong_file_by_hand(weights: PublishedWeights, tmp_path: Path, data: bytes, fault: str) -> None:
    source = tmp_path / "x.pt"
    source.write_bytes(data)
    with pytest.raises(UserError, match=rf"x\.pt is not BEATs_iter3\.pt: .*{fault}"):
        take_weights(weights, source, tmp_path / "weights")
    with pytest.raises(UserError, match="There is no file"):
        take_weights(weights, tmp_path / "none.pt", tmp_path / "weights")
    assert not (tmp_path / "weights").exists()
