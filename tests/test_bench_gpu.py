"""bench/gpu.py works on the day: all of its parts on the CPU, small, and its kill with a stand-in for `asd train`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from helpers import REPOSITORY, invoke
from safetensors.torch import save_file

from asdcli.audio.frontends import FRONTENDS
from asdcli.detection.detectors import DETECTORS
from asdcli.nn.backbones import BACKBONES
from asdcli.recipe.loading import recipe_names
from asdcli.training.tasks import TASKS

QUICK = ["--device", "cpu", "--quick"]
LONGER = ["networks", "losses", "recipes"]
STAND_IN = """
import shutil, sys, time
from pathlib import Path

root = Path(sys.argv[sys.argv.index("--root") + 1])
checkpoint = root / "checkpoint.pt"
resumed = checkpoint.exists()
if resumed:
    print("train: going on at phase train, step 3")
elif root.name == "killed":
    checkpoint.touch()
    time.sleep(60)
shutil.copy(Path(__file__).parent / ("resumed" if resumed else root.name), root / "weights.safetensors")
"""


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    """bench/gpu.py, and its part on training; scripts find each other in their folder."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "bench"))
    import gpu
    import gpu_training

    return gpu, gpu_training


@pytest.mark.parametrize("parts", [["frontends", "detectors"], pytest.param(LONGER, marks=pytest.mark.slow)])
def test_every_part_prints_its_rows(
    bench: tuple[ModuleType, ModuleType], capsys: pytest.CaptureFixture[str], parts: list[str]
) -> None:
    """`resume`, `jobs` and `streaming` have tests of their own below: real trainings would take too long here."""
    gpu, _ = bench
    assert {*gpu.PARTS} == {"frontends", "detectors", *LONGER, "resume", "jobs", "streaming"}
    assert gpu.main([*QUICK, *(word for part in parts for word in ("--only", part))]) == 0
    live, _, tables = capsys.readouterr().out.partition("\n### ")
    named = {
        "frontends": FRONTENDS,
        "networks": BACKBONES,
        "losses": [*TASKS, "arcface two_label", "arcface soft_label"],
        "detectors": DETECTORS,
        "recipes": recipe_names(),
    }
    for part in parts:
        names = named[part]
        table = f"### {tables}".split(f"### {part}\n")[1].split("###")[0]
        for name in names:
            assert f"| {name}" in table
            assert any(line.startswith(f"{part}: ") and f" {name}" in line for line in live.splitlines())
    assert ("clips/s" in tables) == ("recipes" in parts)
    assert tables.endswith("Everything is as it should be.\n")


def test_a_failure_is_a_row_and_the_others_still_run(
    bench: tuple[ModuleType, ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> list[dict[str, str]]:
        raise ValueError("no such kernel")

    def impossible(setting: object) -> list[object]:
        raise RuntimeError("no card")

    gpu, _ = bench
    fine: Callable[[], list[dict[str, str]]] = lambda: [{"x": "third", "verdict": "ok"}]  # noqa: E731
    off: Callable[[], list[dict[str, str]]] = lambda: [{"x": "second", "verdict": "OFF"}]  # noqa: E731
    monkeypatch.setattr(
        gpu,
        "PARTS",
        {
            "losses": lambda setting: [("first", broken), ("third", fine)],
            "networks": lambda setting: [("second", off)],
            "resume": impossible,
            "recipes": lambda setting: [("third", fine)],
        },
    )
    assert gpu.main(QUICK) == 1
    said = capsys.readouterr().out
    assert "| first |  | FAILED: ValueError: no such kernel |" in said
    assert "|  | third | ok |" in said
    assert "| the whole part | FAILED: RuntimeError: no card |" in said
    assert said.endswith("Failed or OFF: losses, networks, resume\n")


def test_too_little_memory_is_said_and_is_no_failure(
    bench: tuple[ModuleType, ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    gpu, gpu_training = bench
    monkeypatch.setattr(gpu_training, "_phase", full)
    monkeypatch.setattr(gpu_training, "recipe_names", lambda: ["baseline_ae"])
    assert gpu.main([*QUICK, "--only", "recipes"]) == 0
    assert "clips/s out of memory" in capsys.readouterr().out


@pytest.mark.slow
def test_trainings_side_by_side_have_rows(
    bench: tuple[ModuleType, ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    gpu, _ = bench
    assert gpu.main([*QUICK, "--only", "jobs"]) == 0
    said = capsys.readouterr().out
    assert "recipe baseline_ae, jobs 2" in said
    assert said.count("weights the same, verdict ok") == 2


def test_data_beside_the_device_have_rows(
    bench: tuple[ModuleType, ModuleType], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu, gpu_training = bench
    monkeypatch.setattr(gpu_training, "STREAMED", {"everyday": "network"})
    assert gpu.main([*QUICK, "--only", "streaming"]) == 0
    said = capsys.readouterr().out
    rows = re.findall(r"data (on the card|beside it), .*, two steps equal to the last bit, verdict ok", said)
    assert rows == ["on the card", "beside it"]


# --- kill and resume --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", ["baseline_ae", "arcface_ensemble"])
def test_what_is_killed_is_a_training_that_runs(
    recipe: str, bench: tuple[ModuleType, ModuleType], tmp_path: Path
) -> None:
    gpu, gpu_training = bench
    assert recipe in gpu_training.LONG_ENOUGH
    member, phase, _ = gpu_training.LONG_ENOUGH[recipe]
    gpu_training.write_recipe(tmp_path / "long", recipe, member, phase, steps=2)
    gpu_training.write_clips(tmp_path / "root")
    invoke(*gpu_training.command(tmp_path / "root", gpu.Setting(torch.device("cpu"), quick=True)))
    assert len(list((tmp_path / "root").rglob("weights.safetensors"))) == 1


@pytest.mark.parametrize(
    ("again", "resumed", "said"),
    [
        (1.0, 1.0, "killed and resumed equal to the last bit, verdict ok"),
        (1.0, 2.0, "killed and resumed differ by up to 0.25 of a tensor's largest weight, verdict OFF"),
        (2.0, 2.0, "two undisturbed runs differ by up to 0.25 of a tensor's largest weight, killed"),
    ],
)
def test_a_resumed_run_is_compared_with_undisturbed_ones(
    again: float,
    resumed: float,
    said: str,
    bench: tuple[ModuleType, ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gpu, gpu_training = bench
    for name, value in (("undisturbed", 1.0), ("again", again), ("resumed", resumed)):
        save_file({"weight": torch.tensor([value, 4.0])}, tmp_path / name)
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    monkeypatch.setattr(gpu_training, "ASD", (sys.executable, str(tmp_path / "stand_in.py")))
    monkeypatch.setattr(gpu_training, "write_clips", lambda root: root.mkdir())
    assert gpu.main([*QUICK, "--only", "resume"]) == int(said.endswith("OFF"))
    assert said in capsys.readouterr().out
