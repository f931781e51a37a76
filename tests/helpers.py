"""Small real files for tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
from typer.testing import CliRunner

from asdcli.audio.clips import ClipTable
from asdcli.cli.app import app, hoist_globals

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

REPOSITORY = Path(__file__).parent.parent
README = REPOSITORY / "README.md"
DATA = REPOSITORY / "tests" / "data"
RATE = 16_000
MACHINES = {"dev": {"SynBearing": ("00",), "SynFan": ("00", "01")}, "eval": {"SynPump": ("00",)}}


def write_clip(path: Path, samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)


def noise(n: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """White noise, int16 [n, channels]."""
    return np.random.default_rng(seed).integers(-32768, 32768, (n, channels)).astype(np.int16)


def write_fan(raw: Path, name: str, samples: np.ndarray, *rate: int, **form: Any) -> None:
    """A training clip of the machine `fan`."""
    write_clip(raw / "fan" / "train" / name, samples, *rate, **form)


def fan_clips(raw: Path) -> ClipTable:
    """All wav files of `fan`, without the name patterns of an edition."""
    names = sorted(path.name for path in (raw / "fan" / "train").glob("*.wav"))
    n = len(names)
    return ClipTable.from_columns(
        {
            "path": [f"fan/train/{name}" for name in names],
            "machine": ["fan"] * n,
            "section": ["00"] * n,
            "domain": ["source"] * n,
            "split": ["train"] * n,
            "label": [0] * n,
            "attributes": [{"speed": str(i)} for i in range(n)],
        }
    )


def machine_sound(seed: int, pitch: float, seconds: float = 0.4, knock: bool = False) -> np.ndarray:
    """A hum with noise; an anomalous one knocks."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    sound = 0.1 * np.sin(2 * np.pi * pitch * t) + 0.02 * rng.standard_normal(len(t))
    if knock:
        sound[:: len(t) // 5] += 0.5
    return sound.clip(-1, 1)


def clip_names(count: int) -> list[str]:
    """Names of section 00's test clips of a development set: so many of each domain and label."""
    return [
        f"section_00_{domain}_test_{label}_{index:04d}.wav"
        for domain in ("source", "target")
        for label in ("normal", "anomaly")
        for index in range(count)
    ]


def write_tree(root: Path, train: int = 6, test: int = 4, seconds: float = 0.4) -> None:
    """The demo edition's tree with a few tiny clips: per section `train` source and 2 target training clips."""
    seed = 0
    for set_name, machines in MACHINES.items():
        for number, (machine, sections) in enumerate(machines.items()):
            folder = root / "data" / "demo" / f"{set_name}_data" / "raw" / machine
            for section in sections:
                for domain, count in (("source", train), ("target", 2)):
                    pitch = 200 + 100 * number + 50 * int(section) + (30 if domain == "target" else 0)
                    for index in range(count):
                        seed += 1
                        name = f"section_{section}_{domain}_train_normal_{index:04d}_spd_{number}.wav"
                        write_clip(folder / "train" / name, machine_sound(seed, pitch, seconds))
                    for label in ("normal", "anomaly"):
                        for index in range(test):
                            seed += 1
                            name = f"section_{section}_{domain}_test_{label}_{index:04d}_spd_{number}.wav"
                            if set_name == "eval":
                                offset = test * ((domain == "target") * 2 + (label == "anomaly"))
                                name = f"section_{section}_{index + offset:04d}.wav"
                            sound = machine_sound(seed, pitch, seconds, knock=label == "anomaly")
                            write_clip(folder / "test" / name, sound)


def invoke(*arguments: str | Path) -> str:
    """stdout of `asd ...` in this process; errors are raised."""
    return _invoked(*arguments).stdout


def notices(*arguments: str | Path) -> str:
    """stderr of `asd ...` in this process; errors are raised."""
    return _invoked(*arguments).stderr


def _invoked(*arguments: str | Path) -> Any:
    command = hoist_globals(list(map(str, arguments)))
    found = CliRunner().invoke(app, command, catch_exceptions=False, standalone_mode=False)
    if found.exception is not None:
        raise found.exception
    return found


def none_published(name: str) -> Path:
    """For networks that should ask for no published weights."""
    raise AssertionError(f"{name} was asked for")


def readme_commands() -> list[list[str]]:
    """The commands of each of the README's blocks, without their comments."""
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    return [[line.split("  # ")[0].strip() for line in block.splitlines() if line] for block in blocks]


def tree_bytes(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def kept_for_backward(model: nn.Module, x: Tensor) -> int:
    """Bytes beside the weights that a forward pass keeps for the backward pass, each counted once."""
    import torch

    own = {value.untyped_storage().data_ptr() for value in model.parameters()}
    held: dict[int, torch.UntypedStorage] = {}

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        made = model(x)
    assert made.requires_grad
    return sum(storage.nbytes() for storage in held.values())
