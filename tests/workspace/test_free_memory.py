"""Free memory, from files as the kernel shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from asdcli.workspace.free_memory import free_bytes

MEMINFO = "MemTotal: 16000000 kB\nMemFree: 100 kB\nMemAvailable: 8000000 kB\n"
UNLIMITED = {1: "9223372036854771712", 2: "max"}


class Kernel:
    """Its files, of one version of the interface to groups."""

    def __init__(self, folder: Path, version: int, own: str) -> None:
        self.proc, self.groups, self.version = folder / "proc", folder / "cgroup", version
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "meminfo").write_text(MEMINFO)
        lines = {1: f"9:name=systemd:/x\n4:cpu,memory:{own}\n0::/elsewhere\n", 2: f"0::{own}\n"}[version]
        (self.proc / "self" / "cgroup").write_text(lines)

    def group(self, name: str, limit: str, held: int, files: int = 0) -> None:
        folder = (self.groups / "memory" if self.version == 1 else self.groups) / name
        folder.mkdir(parents=True, exist_ok=True)
        names = {1: ("memory.limit_in_bytes", "memory.usage_in_bytes"), 2: ("memory.max", "memory.current")}
        for file, value in zip(names[self.version], (limit, str(held)), strict=True):
            (folder / file).write_text(f"{value}\n")
        total = "total_" if self.version == 1 else ""
        stat = f"inactive_file 1\nactive_file 1\n{total}inactive_file {files}\n{total}active_file 7\n"
        (folder / "memory.stat").write_text(stat if self.version == 1 else stat.partition("\n")[2].partition("\n")[2])

    def free(self) -> int | None:
        return free_bytes(self.proc, self.groups)


@pytest.fixture(params=[1, 2])
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_without_limits_it_is_what_the_machine_has(version: int, tmp_path: Path) -> None:
    kernel = Kernel(tmp_path, version, "/a/b")
    assert kernel.free() == 8_000_000 << 10
    for name in ("", "a", "a/b"):
        kernel.group(name, UNLIMITED[version], 5)
    assert kernel.free() == 8_000_000 << 10


@pytest.mark.parametrize("at", ["", "a", "a/b"])
def test_a_limit_counts_wherever_above_it_is_set(at: str, version: int, tmp_path: Path) -> None:
    """Less what is held, but for files that would be given back."""
    kernel = Kernel(tmp_path, version, "/a/b")
    for name in ("", "a", "a/b"):
        kernel.group(name, "3000000" if name == at else UNLIMITED[version], 2_000_000, files=400_000)
    assert kernel.free() == 3_000_000 - 2_000_000 + 400_007


def test_a_container_sees_its_own_group_as_the_first(version: int, tmp_path: Path) -> None:
    """And the name that it had outside, where nothing lies."""
    kernel = Kernel(tmp_path, version, "/docker/0123")
    kernel.group("", "3000000", 1_000_000)
    assert kernel.free() == 2_000_007


def test_a_group_beyond_its_limit_has_nothing_left(version: int, tmp_path: Path) -> None:
    kernel = Kernel(tmp_path, version, "/")
    kernel.group("", "1000", 5000)
    assert kernel.free() == 0


def test_nothing_is_known_where_nothing_tells(tmp_path: Path) -> None:
    assert free_bytes(tmp_path, tmp_path) is None
