"""`asd download` as users meet it: real processes that are stopped, killed and run out of disk."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import tree_bytes
from server import Fault, Server, make_zip, running, stock

from asdcli.challenge.editions.edition import load_edition
from asdcli.challenge.editions.scorefiles import Unit, decision_name, score_name, write_values
from asdcli.challenge.editions.truth import truth_from_clips, write_truth

NOWHERE = "http://127.0.0.1:9"
LEFT = {".locks", ".last.json", "data"}


@pytest.fixture
def server() -> Iterator[Server]:
    yield from running()


@pytest.fixture
def start(tmp_path: Path, server: Server) -> Callable[..., subprocess.Popen]:
    """Begin an `asd download` that the test may kill."""

    def begin(*arguments: str, **options: Any) -> subprocess.Popen:
        command = [sys.executable, "-m", "asdcli", "download", *arguments, "--mirror", server.url]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=tmp_path, text=True, **{**pipes, **options})

    return begin


def found(root: Path, edition: str = "dcase2024") -> dict[str, bytes]:
    """The official tree; anything else that lies around under the root fails the test, but for known files."""
    left = {path.name for path in root.iterdir() if not path.match("*.last.json.*.tmp")}  # of a kill
    assert left <= LEFT
    files = tree_bytes(root / "data" / edition)
    files.pop("downloaded.json", None)
    return files


# --- stopped and killed ---------------------------------------------------------------------------------------------


def fetched(process: subprocess.Popen) -> None:
    """It ends by itself and well."""
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def until(ready: Callable[[], bool], process: subprocess.Popen) -> None:
    """Wait for something that the process does, as long as it lives."""
    while not ready() and process.poll() is None:
        time.sleep(0.002)


def has_begun(part: Path) -> bool:
    return part.exists() and part.stat().st_size > 0


def test_killed_at_random_moments(server: Server, start: Callable[..., subprocess.Popen], tmp_path: Path) -> None:
    """Between kills every machine's part is whole or absent; in the end all is there, and nothing else."""
    machines = ["fan", "RoboticArm", "3DPrinter"]
    tree = stock(server, load_edition("dcase2024"), ["dev", "train", "eval"], machines, most=60)
    command = ["dcase2024", "--set", "dev,train,eval", *(word for m in machines for word in ("--machine", m))]
    folder = tmp_path / "asd_work" / "data" / "dcase2024"
    silent = threading.Event()
    server.faults["dev_fan.zip"] = [Fault(cut=5000, hold=silent)]
    process = start(*command)
    part = folder / ".download" / "dev_fan.zip.part"
    until(lambda: has_begun(part), process)
    process.kill()  # the first time in the middle of a file
    process.communicate()
    silent.set()
    assert has_begun(part)
    assert_whole_parts(folder, tree)
    server.bytes_per_second = 60_000
    rng = random.Random(3)
    for _ in range(5):
        enough = server.sent + rng.uniform(0, 40_000)
        process = start(*command)
        until(lambda enough=enough: server.sent >= enough, process)
        process.kill()
        process.communicate()
        assert_whole_parts(folder, tree)
    server.bytes_per_second = 0
    fetched(start(*command))
    assert found(tmp_path / "asd_work") == tree
    assert "Range" in server.asked("dev_fan.zip")[1]


def assert_whole_parts(folder: Path, tree: dict[str, bytes]) -> None:
    have = {path: data for path, data in tree_bytes(folder).items() if "_data/raw/" in path}
    assert have.keys() <= tree.keys()
    for split in {path.rpartition("/")[0] for path in have if path.endswith(".wav")}:
        inside = {path for path in tree if path.startswith(f"{split}/")}
        assert inside <= have.keys(), split
    assert all(tree[path] == data for path, data in have.items())


def test_ctrl_c_goes_on_from_there(server: Server, start: Callable[..., subprocess.Popen], tmp_path: Path) -> None:
    tree = stock(server, load_edition("dcase2024"), ["dev"], ["fan"], most=200)
    server.faults["dev_fan.zip"] = [Fault(cut=5000, stall=True)]
    process = start("dcase2024", "--set", "dev", "--machine", "fan")
    part = tmp_path / "asd_work/data/dcase2024/.download/dev_fan.zip.part"
    until(lambda: has_begun(part), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGINT  # which a shell calls 130, and ends a loop for
    assert len(server.asked("dev_fan.zip")) == 1
    assert server.sat_out == 0  # it stopped while the line still dripped
    assert errors.splitlines()[-1] == "Stopped. The same command goes on from here."
    assert "Traceback" not in errors
    fetched(start("dcase2024", "--set", "dev", "--machine", "fan"))
    assert found(tmp_path / "asd_work") == tree
    assert int(server.asked("dev_fan.zip")[-1]["Range"][6:-1]) > 0


# --- disk full ------------------------------------------------------------------------------------------------------


def test_a_limit_on_file_sizes(server: Server, start: Callable[..., subprocess.Popen], tmp_path: Path) -> None:
    tree = stock(server, load_edition("dcase2024"), ["dev"], ["fan"], most=None)
    server.always["dev_fan.zip"] = Fault()
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # noqa: E731
    process = start("dcase2024", "--set", "dev", "--machine", "fan", preexec_fn=limit)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "Cannot write" in errors
    assert "file too large" in errors
    assert "The same command goes on from here." in errors
    fetched(start("dcase2024", "--set", "dev", "--machine", "fan"))
    assert found(tmp_path / "asd_work") == tree
    assert server.asked("dev_fan.zip")[-1]["Range"] == "bytes=100000-"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB; needs the right to mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("not allowed to mount a small disk")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("api", [True, False])
def test_a_full_disk(
    server: Server, start: Callable[..., subprocess.Popen], small_disk: Path, tmp_path: Path, api: bool
) -> None:
    """With sizes from the host it is known beforehand, without them it is met on the way."""
    tree = stock(server, load_edition("dcase2024"), ["dev"], ["fan"], most=None)
    server.api = api
    zip = server.records[10902294]["dev_fan.zip"]
    (small_disk / "ballast").write_bytes(bytes(250_000 if api else 270_000 - len(zip) // 2))
    command = ["dcase2024", "--set", "dev", "--machine", "fan", "--root", str(small_disk / "root")]
    process = start(*command)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert ("needs about" in errors) if api else ("no space left on device" in errors)
    assert "Traceback" not in errors
    subprocess.run(["mount", "-o", "remount,size=20m", small_disk], check=True)
    fetched(start(*command))
    assert found(small_disk / "root") == tree


# --- what users see -------------------------------------------------------------------------------------------------


def test_the_whole_way(server: Server, asd: Callable, tmp_path: Path) -> None:
    stock(server, load_edition("dcase2024"), ["dev"], ["fan"], most=None)
    done = asd("download", "dcase2024", "--set", "dev", "--machine", "fan", "--mirror", server.url)
    assert "dev: record 10902294, licence: cc-by-4.0 (https://zenodo.org/records/10902294)" in done.stderr
    assert "md5 is right" in done.stderr
    again = asd("download", "dcase2024", "--set", "dev", "-m", "fan", "--json", ASD_MIRROR=NOWHERE)
    assert "1 of 1 machines are here already" in again.stderr
    (row,) = json.loads(again.stdout)["machines"]
    assert (row["train"], row["test_normal"], row["test_anomaly"]) == (1000, 100, 100)
    assert asd("download", "dcase2024", "--set", "dev", "-m", "fan", "--verify").stdout.endswith("complete.\n")
    missing = asd("download", "dcase2024", "--set", "dev", "--verify", "--json", code=1)
    assert json.loads(missing.stdout)["complete"] is False
    assert len(json.loads(missing.stdout)["checks"]) == 7


def test_the_list_works_without_a_host(asd: Callable) -> None:
    done = asd("download", "dcase2022", "--list", "-v", ASD_MIRROR=NOWHERE)
    assert "eval_data_bearing_train.zip" in done.stdout
    assert "Rules: domain not given in test clips" in done.stdout
    assert "To fetch: 22 files." in done.stdout
    assert (
        "Note: Sizes and checksums are not known now. Cannot fetch http://127.0.0.1:9/api/records/6355122"
        in done.stderr
    )
    rows = json.loads(asd("download", "dcase2022", "--list", "--set", "eval", "--json", ASD_MIRROR=NOWHERE).stdout)
    assert rows["about"]["paper"] == load_edition("dcase2022").paper
    assert rows["about"]["rules"] == list(load_edition("dcase2022").rules)
    assert rows["files"][0]["url"] == ("https://zenodo.org/records/6586456/files/eval_data_bearing_test.zip?download=1")


def test_the_truth_makes_evaluation_possible(server: Server, asd: Callable, tmp_path: Path) -> None:
    """Scores of an evaluation set, its truth fetched, and `asd evaluate` without another word."""
    edition = load_edition("dcase2023")
    rng = np.random.default_rng(0)
    clips = [f"section_00_{index:04d}.wav" for index in range(200)]
    rows = []
    for machine in edition.machines["eval"]:
        write_values(tmp_path / "mine" / score_name(edition, Unit(machine, "00")), clips, rng.random(200))
        write_values(tmp_path / "mine" / decision_name(edition, Unit(machine, "00")), clips, rng.integers(0, 2, 200))
        rows += [(machine, "00", clip, i % 2, ("source", "target")[i // 2 % 2]) for i, clip in enumerate(clips)]
    write_truth(tmp_path / "official", edition, truth_from_clips(rows))
    files = {f"evaluator-HEAD/{name}": data for name, data in tree_bytes(tmp_path / "official").items()}
    server.pages["/nttcslab/dcase2023_task2_evaluator/zip/HEAD"] = make_zip(files)
    done = asd("download", "dcase2023", "--set", "truth", "--mirror", server.url)
    assert "truth: https://github.com/nttcslab/dcase2023_task2_evaluator" in done.stderr
    assert "never shipped" in done.stderr
    assert "Official score" in asd("evaluate", "mine", "--data", "dcase2023").stdout


def test_bars_on_a_terminal(server: Server, start: Callable[..., subprocess.Popen]) -> None:
    """The line is silent in the middle of the file until all that a bar has was to be seen."""
    stock(server, load_edition("dcase2024"), ["dev"], ["fan"], most=None)
    server.bytes_per_second = 200_000
    silent = threading.Event()
    server.faults["dev_fan.zip"] = [Fault(cut=50_000, hold=silent)]
    ours, theirs = pty.openpty()
    process = start("dcase2024", "--set", "dev", "-m", "fan", stderr=theirs, env={**os.environ, "COLUMNS": "150"})
    os.close(theirs)
    wanted = [b"dcase2024", rb"dev_fan\.zip", rb"[\d.]+ (bytes|[kM]B)/s", rb"\d:\d\d:\d\d"]
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65_536)
        except OSError:  # the other end is closed
            break
        if all(re.search(pattern, shown) for pattern in wanted):
            silent.set()
    fetched(process)
    assert [pattern for pattern in wanted if not re.search(pattern, shown)] == []
    assert len(server.asked("dev_fan.zip")) == 2  # the line is cut when the silence ends


@pytest.mark.parametrize(
    ("arguments", "sentence", "hint"),
    [
        (["dcase2022", "--set", "dev,tain"], "Unknown set 'tain'. Did you mean 'train'?", ""),
        (["dcase2022", "--set", "dev", "--machine", "fun"], "Did you mean 'fan'?", ""),
        (["dcase2022", "--from", "x.pt"], "not for dcase2022.", "--link or --zips"),
        (["dcase2022", "--zips", "nowhere"], "There is no folder nowhere.", ""),
        (["dcase2022", "--mirror", "zenodo"], "--mirror zenodo is not the address of a server.", "--mirror http://"),
        (["dcase2222"], "Did you mean 'dcase2022'?", ""),
        (["beats", "--from", "nothing.pt"], "There is no file nothing.pt.", ""),
        (["demo", "--list"], "are for editions that are fetched", "asd download demo"),
    ],
)
def test_mistakes(asd: Callable, arguments: list[str], sentence: str, hint: str) -> None:
    done = asd("download", *arguments, code=2, ASD_MIRROR=NOWHERE if "--mirror" not in arguments else "")
    assert sentence in done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr


def test_weights_without_a_line(asd: Callable, tmp_path: Path) -> None:
    done = asd("download", "beats", code=1, ASD_MIRROR=NOWHERE)
    assert "Licence: MIT" in done.stderr
    assert "works only in a browser: open https://1drv.ms/u/s!AqeByhGUtINrgcpxJUNDxg4eU0r-vA" in done.stderr
    (tmp_path / "BEATs.pt").write_bytes(b"something else")
    done = asd("download", "beats", "--from", "BEATs.pt", code=2)
    assert "BEATs.pt is not BEATs_iter3.pt: 14 bytes instead of 361499833." in done.stderr


def test_link_takes_the_set_as_before(asd: Callable, tmp_path: Path) -> None:
    for set_name in ("dev", "eval"):
        name = "normal_id_01_00000000.wav" if set_name == "dev" else "normal_id_05_00000000.wav"
        clip = tmp_path / "tree" / f"{set_name}_data" / "raw" / "ToyCar" / "train" / name
        clip.parent.mkdir(parents=True)
        clip.write_bytes(b"x")
    asd("download", "dcase2020", "--link", "tree", "--set", "dev")
    assert sorted(path.name for path in (tmp_path / "asd_work/data/dcase2020").iterdir()) == ["dev_data"]
    asd("download", "dcase2020", "--link", "tree")
    assert sorted(path.name for path in (tmp_path / "asd_work/data/dcase2020").iterdir()) == ["dev_data", "eval_data"]
