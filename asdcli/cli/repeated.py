"""An option of one value that is given twice: refused, since whichever value were taken, the other would be lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup, TyperOption

from asdcli.errors import UserError

if TYPE_CHECKING:
    from typer._click.core import Command


def refuse_repeated(command: Command, arguments: list[str]) -> None:
    """Raise for an option of one value that stands twice, be it of asd itself or of the command."""
    path, rest = "asd", list(arguments)
    while True:
        context = typer.Context(command, info_name=path)
        try:
            _, rest, order = command.make_parser(context).parse_args(list(rest))
        except typer.TyperException:
            return  # wrong use of another kind: the command says it
        _refuse(path, [option for option in order if isinstance(option, TyperOption)])
        found = command.get_command(context, rest[0]) if isinstance(command, TyperGroup) and rest else None
        if found is None:
            return
        command, path, rest = found, f"{path} {rest[0]}", rest[1:]


def _refuse(path: str, given: list[TyperOption]) -> None:
    for option in given:
        if given.count(option) > 1 and not (option.multiple or option.is_flag or option.count):
            name = max(option.opts, key=len)
            raise UserError(f"{name} takes one value and is given {given.count(option)} times.", f"{path} --help")
