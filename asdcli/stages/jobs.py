"""`asd train --jobs`: trainings side by side, each in a process of its own; and `--plan`, the same as lines of a shell.

A training computes with the same number of threads however many run at once, so that what comes out of it does not
depend on that. One that fails, or is killed, leaves the others alone.
"""

from __future__ import annotations

import multiprocessing
import os
import shlex
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from asdcli.errors import AsdError, UserError, WorkError
from asdcli.stages import features, train
from asdcli.stages.runs import Run, find_runs
from asdcli.stages.selection import Done, Selection, select
from asdcli.ui import Progress, Ui
from asdcli.workspace.free_memory import free_bytes
from asdcli.workspace.places import Workspace

THREADS = 1  # of each training on the CPU
MEMORY_BYTES = 2 << 30  # that `auto` leaves for each


@dataclass(frozen=True)
class Job:
    """One training, with what was chosen for it."""

    selection: Selection
    run: Run

    @property
    def title(self) -> str:
        return f"{self.run.title}, seed {self.selection.seed}"

    def given(self) -> dict[str, Any]:
        """What chooses this training alone, for `select`."""
        chosen = self.selection
        return {
            "recipe": chosen.recipe.reference,
            "data": chosen.edition.name,
            "machines": list(chosen.machines) if self.run.group not in chosen.machines else [self.run.group],
            "members": [self.run.member],
            "set_name": chosen.sets[0] if len(chosen.sets) == 1 else "all",
            "seed": chosen.seed,
            "profile": chosen.profile,
        }

    def line(self, device: str) -> str:
        """The command that does it on a device."""
        given = self.given()
        words = ["asd", "--root", str(self.selection.workspace.root.absolute()), "train"]
        words += ["--recipe", given["recipe"], "--data", given["data"], "--member", self.run.member]
        words += [word for machine in given["machines"] for word in ("--machine", machine)]
        words += ["--set", given["set_name"], "--seed", str(given["seed"]), "--profile", given["profile"]]
        return shlex.join([*words, "--device", device])


def plan(selections: Sequence[Selection], devices: Sequence[str]) -> list[str]:
    """A line for each training that is to be done, devices by turns. Stores and features are made first, for all."""
    missing, _ = _jobs(selections)
    return [job.line(devices[number % len(devices)]) for number, job in enumerate(missing)]


def run(selections: Sequence[Selection], at_once: int | None, devices: Sequence[str]) -> list[Done]:
    """Train what is missing or stale, so many at once; one entry per training, as `train.run` has them.

    at_once: None for as many as there are GPUs, or on the CPU as cores and memory allow. devices: as `--device` has
    them, taken by turns. A training that fails does not stop the others; at the end a TrainingError names those.
    """
    missing, done = _jobs(selections)
    outcome = train.Outcome(selections[0].ui)
    outcome.done += done
    if missing:
        count = at_once or (_cpus() if selections[0].device.type == "cpu" else len(devices))
        _side_by_side(missing, min(count, len(missing)), devices, outcome)
    return outcome.result()


def _jobs(selections: Sequence[Selection]) -> tuple[list[Job], list[Done]]:
    """What is to be trained, its stores and features there, and what is trained already."""
    missing, done = [], []
    for selection in selections:
        stale = []
        for found in find_runs(selection):
            if train.is_fresh(found):
                done.append(Done(found.title, str(found.folder), True))
            else:
                stale.append(Job(selection, found))
        if stale:
            features.run(selection)
        missing += stale
    return missing, done


def _cpus() -> int:
    """Trainings that cores and memory have room for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    free = free_bytes()
    return max(1, cores // THREADS if free is None else min(cores // THREADS, free // MEMORY_BYTES))


# --- the process that waits -------------------------------------------------------------------------------------------


@dataclass
class _Running:
    job: Job
    process: Any
    messages: Connection
    slot: int
    began: float = field(default_factory=time.monotonic)
    share: float = 0.0  # of it that is done
    ended: tuple[str, ...] = ()  # what it said of its end


def _side_by_side(jobs: Sequence[Job], count: int, devices: Sequence[str], outcome: train.Outcome) -> None:
    ui, waiting = jobs[0].selection.ui, deque(jobs)
    slots, running = list(range(count))[::-1], list[_Running]()
    where = f" on {', '.join(devices)}" if len(devices) > 1 else ""
    ui.say(f"{len(jobs)} trainings, {count} at once{where}")
    over = 0
    with ui.progress("train", len(jobs), "networks") as bar:
        try:
            while waiting or running:
                while waiting and slots:
                    slot = slots.pop()
                    running.append(_start(waiting.popleft(), slot, devices[slot % len(devices)]))
                _listen(running, ui)
                for one in [one for one in running if not one.process.is_alive() and not one.messages.poll()]:
                    running.remove(one)
                    slots.append(one.slot)
                    over += 1
                    _end(one, outcome, f"{over} of {len(jobs)}")
                shown = ", ".join(f"{one.job.run.title} {one.share:.0%}" for one in running)
                bar.show(over + sum(one.share for one in running), shown)
        finally:
            for one in running:
                one.process.terminate()
            for one in running:
                one.process.join()


def _start(job: Job, slot: int, device: str) -> _Running:
    context = multiprocessing.get_context("spawn")
    messages, to_parent = context.Pipe(duplex=False)
    phases = len(job.run.method.phases)
    root = str(job.selection.workspace.root)
    process = context.Process(
        target=_work, args=(to_parent, os.getpid(), root, {**job.given(), "device": device}, phases), daemon=True
    )
    process.start()
    to_parent.close()
    return _Running(job, process, messages, slot)


def _listen(running: Sequence[_Running], ui: Ui) -> None:
    """Hear what comes until something changes."""
    by_connection = {one.messages: one for one in running}
    for ready in wait([*by_connection, *(one.process.sentinel for one in running)]):
        one = by_connection.get(ready)  # type: ignore[call-overload]
        while one is not None and one.messages.poll():
            try:
                kind, *what = one.messages.recv()
            except EOFError:
                one.process.join()
                one.messages.close()
                one.messages = _Silent()
                break
            if kind == "share":
                (one.share,) = what
            elif kind in ("say", "warn", "detail"):
                getattr(ui, kind)(*what)
            else:
                one.ended = (kind, *what)


class _Silent:
    """Of a process that has ended: nothing comes any more."""

    def poll(self) -> bool:
        return False


def _end(one: _Running, outcome: train.Outcome, number: str) -> None:
    job, ui = one.job, one.job.selection.ui
    if one.ended[:1] == ("done",):
        outcome.done.append(Done(job.run.title, one.ended[1], False))
        ui.say(f"train {job.title}: done in {time.monotonic() - one.began:.0f} s ({number})")
    elif one.ended[:1] == ("failed",):
        _, message, hint, is_bad_input = one.ended
        outcome.fail(job.run.member, job.run.group, (UserError if is_bad_input else WorkError)(message, hint))
    else:
        code = one.process.exitcode
        how = f"was killed by signal {-code} (is there enough memory?)" if code < 0 else f"ended with exit code {code}"
        outcome.fail(
            job.run.member, job.run.group, WorkError(f"Its process {how}.", "The same command goes on where it was.")
        )


# --- the process that trains ------------------------------------------------------------------------------------------


class _Reporting(Ui):
    """Passes on what is said, and how much of the training is done."""

    def __init__(self, to_parent: Connection, phases: int) -> None:
        self._send, self._phases, self._over = to_parent.send, phases, 0

    def say(self, text: str) -> None:
        self._send(("say", text))

    def detail(self, text: str) -> None:
        self._send(("detail", text))

    def warn(self, text: str) -> None:
        self._send(("warn", text))

    @contextmanager
    def progress(self, title: str, total: float, unit: str = "clips") -> Iterator[Progress]:
        if unit != "steps":
            yield Progress()
            return
        send, over, phases = self._send, self._over, self._phases

        class Share(Progress):
            def show(self, done: float, figures: str = "") -> None:
                send(("share", min(1.0, (over + done / max(1.0, total)) / phases)))

        yield Share()
        self._over += 1


def _work(to_parent: Connection, parent: int, root: str, given: dict[str, Any], phases: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, who ends this process
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import torch

    torch.set_num_threads(THREADS)
    try:
        (done,) = train.run(select(Workspace(Path(root)), _Reporting(to_parent, phases), **given))
    except AsdError as error:
        to_parent.send(("failed", str(error), error.hint, isinstance(error, UserError)))
    else:
        to_parent.send(("done", done.path))


def _end_with(parent: int) -> None:
    """A killed parent leaves no process behind; what was trained goes on from its checkpoint."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
