"""What has to be known of a GPU, in one run of less than ten minutes: right numbers, exact resuming, speed, memory.

python bench/gpu.py [--only PART]... [--device cuda|cpu] [--quick]

Prints every row as soon as it is there, and at the end all of them as Markdown for bench/README.md. Exit code 1 if a
part failed or a figure is OFF. `--quick` takes small networks and few steps: it shows that everything works, and its
times say nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import traceback
from collections.abc import Callable
from typing import Any

import torch
from gpu_numbers import detectors, frontends, losses, networks
from gpu_rows import Item, Row, Setting
from gpu_training import jobs, recipes, resume, streaming

import asdcli
from asdcli.errors import UserError
from asdcli.training.device import describe, pick_device

PARTS: dict[str, Callable[[Setting], list[Item]]] = {
    "frontends": frontends,
    "networks": networks,
    "losses": losses,
    "detectors": detectors,
    "resume": resume,
    "jobs": jobs,
    "streaming": streaming,
    "recipes": recipes,
}


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    setting = Setting(options.device, options.quick)
    print(header(setting), flush=True)
    tables = {part: _rows(part, setting) for part in options.only or PARTS}
    print("", header(setting), *(markdown(part, rows) for part, rows in tables.items()), sep="\n")
    wrong = [part for part, rows in tables.items() if any(row["verdict"] != "ok" for row in rows)]
    print(f"\nFailed or OFF: {', '.join(wrong)}" if wrong else "\nEverything is as it should be.")
    return int(bool(wrong))


def _options(arguments: list[str]) -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)
    try:
        options.device = pick_device(options.device)
    except UserError as error:
        parser.error(f"{error} On a CPU: --device cpu --quick")
    return options


def header(setting: Setting) -> str:
    """What this was measured on."""
    cuda = f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}, " if torch.cuda.is_available() else ""
    versions = f"torch {torch.__version__}, {cuda}asd {asdcli.__version__}, Python {platform.python_version()}"
    return f"{describe(setting.device)}; {os.cpu_count()} cores; {versions}{'; quick' * setting.quick}"


def _rows(part: str, setting: Setting) -> list[Row]:
    """The rows of a part; what fails makes a row that says so, and does not stop the rest."""
    try:
        items = PARTS[part](setting)
    except Exception as error:
        items = [("the whole part", _raising(error))]
    rows = []
    for name, work in items:
        try:
            made = work()
        except Exception as error:
            made = [{part: name, "verdict": f"FAILED: {traceback.format_exception_only(error)[-1].strip()}"}]
        for row in made:
            print(f"{part}: {', '.join(f'{key} {value}' for key, value in row.items())}", flush=True)
        rows += made
    return rows


def _raising(error: Exception) -> Callable[[], list[Row]]:
    def work() -> list[Row]:
        raise error

    return work


def markdown(part: str, rows: list[Row]) -> str:
    """A table with the columns of all rows."""
    columns = [key for key in dict.fromkeys(key for row in rows for key in row) if key != "verdict"] + ["verdict"]
    lines = [columns, ["---"] * len(columns), *([row.get(column, "") for column in columns] for row in rows)]
    return "\n".join([f"\n### {part}\n", *(f"| {' | '.join(line)} |" for line in lines)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
