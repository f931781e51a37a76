"""How much memory there is left to take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
LIMITS = {  # of a group of processes, by version of the kernel's interface: its limit, what it holds
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    2: ("memory.max", "memory.current"),
}


def free_bytes(proc: Path = Path("/proc"), groups: Path = GROUPS) -> int | None:
    """Memory that can be had, on the machine and within the limits that a container or a scheduler has set, what the
    kernel holds of files and would give back included. None where nothing tells.

    Args:
        proc: what the kernel tells of itself.
        groups: where it shows the groups of processes.
    """
    found = list(_left_in_groups(proc / "self" / "cgroup", groups))
    for line in _lines(proc / "meminfo"):
        if line.startswith("MemAvailable:"):
            found.append(int(line.split()[1]) << 10)
    return max(0, min(found)) if found else None


def _left_in_groups(own: Path, groups: Path) -> Iterator[int]:
    """What each group that this process is in, and each group above it, has left; a container sees its own as the
    first of all.
    """
    for line in _lines(own):
        _, kinds, name = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        version, top = (1, groups / "memory") if kinds else (2, groups)
        folder = top / name.lstrip("/")
        while True:
            limit, held = (_number(folder / file) for file in LIMITS[version])
            if limit is not None and held is not None:
                yield limit - held + _reclaimable(folder / "memory.stat")
            if folder == top or top not in folder.parents:
                break
            folder = folder.parent


def _reclaimable(path: Path) -> int:
    """Bytes of files that a group holds, of the groups below it too."""
    counts = {name: int(value) for name, _, value in (line.partition(" ") for line in _lines(path))}
    return sum(counts.get(f"total_{kind}", counts.get(kind, 0)) for kind in ("inactive_file", "active_file"))


def _number(path: Path) -> int | None:
    text = "".join(_lines(path))
    return int(text) if text.isdigit() else None  # "max" where there is no limit


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
