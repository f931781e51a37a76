"""What a command works on: recipe, data, members, machines, sets. Choices left out are made here, and said."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from asdcli.challenge.editions.edition import Edition
from asdcli.errors import UserError, unknown
from asdcli.recipe.loading import Recipe
from asdcli.recipe.schema import Method
from asdcli.stages.choices import choose_edition, choose_recipe
from asdcli.stages.looking.describe import plugins
from asdcli.stages.overlays import running, warn_of_unread, warn_of_unused
from asdcli.stages.traits import MEMORY, Memory, Traits
from asdcli.ui import Ui
from asdcli.workspace.made import Made
from asdcli.workspace.places import SETS, Workspace

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Done:
    """One piece of work of a stage: what it was, where it lies, and whether it was fresh already."""

    what: str
    path: str
    fresh: bool


@dataclass(frozen=True)
class Selection:
    """A resolved choice: `present` are the machines on disk in the chosen sets, `machines` those of them to work on."""

    workspace: Workspace
    ui: Ui
    edition: Edition
    recipe: Recipe
    members: tuple[str, ...]
    present: tuple[str, ...]
    machines: tuple[str, ...]
    sets: tuple[str, ...]
    seed: int = 0
    device_choice: str = "auto"
    profile: str = "full"
    run_code: bool = True  # that the recipe names; without it, `traits` may raise CodeNotRunError

    @property
    def label(self) -> str:
        """The recipe's folder name under the root; another profile never mixes with the full one."""
        return self.recipe.name if self.profile == "full" else f"{self.recipe.name}@{self.profile}"

    @cached_property
    def device(self) -> torch.device:
        """The device, announced when it is first asked for."""
        from asdcli.training.device import describe, pick_device

        device = pick_device(self.device_choice)
        self.ui.say(f"Device: {describe(device)}")
        return device

    @cached_property
    def opened(self) -> dict[str, Any]:
        """The stores that a command has opened, by machine: the same for all members and stages."""
        return {}

    @cached_property
    def _methods(self) -> dict[tuple[str, str | None], tuple[Method, list[str]]]:
        return {}

    @cached_property
    def _traits(self) -> dict[int, tuple[Method, Traits]]:  # with the method, whose id is then no other's
        return {}

    @cached_property
    def _memory(self) -> Memory:
        return Memory(self.workspace.root / MEMORY)

    def method(self, member: str, machine: str | None) -> Method:
        """What runs for a machine; for none, what is the same for all."""
        return self._running(member, machine)[0]

    def traits(self, method: Method) -> Traits:
        """What the components of a method say of themselves; it is checked first if that is not known yet."""
        if id(method) not in self._traits:
            self._traits[id(method)] = method, self._memory.traits(method, self.run_code)
        return self._traits[id(method)][1]

    def _running(self, member: str, machine: str | None) -> tuple[Method, list[str]]:
        key = member, machine
        if key not in self._methods:
            edition, profile = self.edition.name, self.profile
            self._methods[key] = running(self.recipe, machine=machine, member=member, edition=edition, profile=profile)
        return self._methods[key]

    def groups(self, member: str) -> dict[str, tuple[str, ...]]:
        """Which machines share one network: name of the group to its machines.

        A network for all machines learns from all that are present, whichever are to be worked on.
        """
        if self.method(member, None).scope == "all":
            return {"all": self.present}
        return {machine: (machine,) for machine in self.machines}

    def check(self) -> None:
        """Refuse what cannot run, and say which of the machines' files, or what of them, is not used."""
        methods = [self.method(member, machine) for member in self.members for machine in (None, *self.machines)]
        if files := {str(plugin.file): None for method in methods for plugin in plugins(method)}:
            self.ui.say(f"The recipe runs code of its own: {', '.join(files)}")
        for method in methods:
            self.traits(method)
        self._warn_of_random_weights()
        warn_of_unread(self.workspace, self.ui, self.recipe)
        for machine in self.machines:
            unused = [key for member in self.members for key in self._running(member, machine)[1]]
            warn_of_unused(self.ui, self.recipe, machine, list(dict.fromkeys(unused)))

    def _warn_of_random_weights(self) -> None:
        """Say which networks a profile starts at random, where the recipe itself starts them from published weights."""
        if self.profile == "full":
            return
        edition, found = self.edition.name, []
        for member in self.members:
            full, _ = running(self.recipe, machine=None, member=member, edition=edition, profile="full")
            pairs = zip(self.traits(full).starts, self.traits(self.method(member, None)).starts, strict=False)
            if any(published and weights == "random" for (published, _), (_, weights) in pairs):
                found.append(member)
        if found:
            self.ui.warn(
                f"Profile {self.profile}: {', '.join(found)} start from random weights, not from published ones; "
                "what they score says nothing of the recipe."
            )

    def sets_of(self, machine: str) -> list[str]:
        """The chosen sets that hold this machine."""
        return [name for name in self.sets if (self.workspace.raw(self.edition.name, name) / machine).is_dir()]


def select(
    workspace: Workspace,
    ui: Ui,
    *,
    recipe: str | None = None,
    data: str | None = None,
    machines: list[str] | None = None,
    members: list[str] | None = None,
    set_name: str = "all",
    seed: int = 0,
    device: str = "auto",
    profile: str | None = None,
) -> Selection:
    """Resolve a command's options to a Selection, and remember the recipe, its profile and the edition as used last."""
    edition = choose_edition(workspace, ui, data)
    chosen, profile = choose_recipe(workspace, ui, edition, recipe, profile)
    on_disk = workspace.sets(edition.name)
    sets = tuple(name for name in SETS if name in on_disk and set_name in ("all", name))
    if not sets:
        raise UserError(f"{edition.name} has no {set_name} set here, only {', '.join(on_disk)}.")
    present = machines_on_disk(workspace, edition, sets)
    for machine in machines or ():
        if machine not in present:
            raise _unknown_machine(workspace, edition, machine, present)
    for member in members or ():
        if member not in chosen.header.members:
            raise unknown(f"member of recipe {chosen.name}", member, chosen.header.members)
        if member not in chosen.members(profile):
            there = ", ".join(chosen.members(profile))
            raise UserError(f"The profile {profile} of recipe {chosen.name} is without {member}; it has {there}.")
    selection = Selection(
        workspace,
        ui,
        edition,
        chosen,
        members=tuple(members or chosen.members(profile)),
        present=present,
        machines=tuple(machine for machine in present if not machines or machine in machines),
        sets=sets,
        seed=seed,
        device_choice=device,
        profile=profile,
    )
    selection.check()
    ui.machines = selection.machines
    workspace.remember(edition=edition.name, recipe=chosen.reference, profile=profile)
    return selection


def _unknown_machine(workspace: Workspace, edition: Edition, machine: str, present: tuple[str, ...]) -> UserError:
    """The error for a machine that is not here, with the other data sets here that have it."""
    error = unknown(f"machine of {edition.name}", machine, present)
    others = [name for name in workspace.editions() if name != edition.name and _has(workspace, name, machine)]
    return UserError(str(error), f"--data {others[0]}") if others else error


def _has(workspace: Workspace, edition: str, machine: str) -> bool:
    return any((workspace.raw(edition, name) / machine).is_dir() for name in workspace.sets(edition))


def warn_of_damage(ui: Ui, made: Made, made_from: str, part: str = "all", again: str = "it is made again") -> bool:
    """Whether a file of what was made already is not what was written; said, since it is why that is made again."""
    name = made.damaged(made_from, part)
    if name:
        ui.warn(f"{made.folder / name} is not what was written; {again}.")
    return bool(name)


def machines_on_disk(workspace: Workspace, edition: Edition, sets: tuple[str, ...]) -> tuple[str, ...]:
    """Machine types with a folder in one of the sets: the edition's order, or alphabetical for own data."""
    found: dict[str, None] = {}
    for set_name in sets:
        raw = workspace.raw(edition.name, set_name)
        names = sorted(path.name for path in raw.iterdir() if path.is_dir() and not path.name.startswith("."))
        known = edition.machines.get(set_name, ())
        found |= dict.fromkeys([name for name in known if name in names] + [n for n in names if n not in known])
    if not found:
        raise UserError(f"No machine folders under {workspace.raw(edition.name, sets[0])}.")
    return tuple(found)
