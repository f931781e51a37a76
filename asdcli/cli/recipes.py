"""`asd recipes`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from asdcli.cli import completion
from asdcli.cli.console import Output
from asdcli.cli.options import Profile
from asdcli.errors import UserError


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `asd recipes show baseline_ae --machine fan`")(recipes)


def recipes(
    context: typer.Context,
    action: Annotated[str | None, typer.Argument(help="Nothing lists all recipes; `show` prints one.")] = None,
    name: Annotated[
        str | None, typer.Argument(autocompletion=completion.recipes, help="Name or path of the recipe to show.")
    ] = None,
    machine: Annotated[
        str | None,
        typer.Option("--machine", "-m", autocompletion=completion.machines, help="Resolve for this machine type."),
    ] = None,
    member: Annotated[
        str | None,
        typer.Option("--member", autocompletion=completion.members, help="Resolve this member. Left out: the first."),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", "-d", autocompletion=completion.data, help="Resolve for this edition.")
    ] = None,
    profile: Profile = None,
) -> None:
    """List the recipes, or show one resolved: the hyper-parameter table of the paper as it will run."""
    output: Output = context.obj
    if action is None:
        _list(output)
    elif action == "show" and name is not None:
        _show(output, name, machine=machine, member=member, data=data, profile=profile or "full")
    else:
        raise UserError(f"asd recipes takes nothing, or 'show NAME', not '{action}'.", "asd recipes --help")


def _list(output: Output) -> None:
    from asdcli.recipe.loading import RECIPES
    from asdcli.stages.looking.describe import describe_recipes

    described = describe_recipes()
    if output.json(described):
        return
    rows = [
        (
            recipe["name"],
            recipe["edition"],
            ", ".join(f"{name} ({facts['parameters']:,})" for name, facts in recipe["members"].items()),
            ", ".join(recipe["systems"]),
            recipe["title"],
        )
        for recipe in described
    ]
    output.table("", ("recipe", "edition", "members (parameters)", "systems", "title"), rows)
    output.text(f"They lie in {RECIPES}. A copy of a folder there, changed, is a recipe of your own: --recipe FOLDER")


def _show(
    output: Output, name: str, *, machine: str | None, member: str | None, data: str | None, profile: str
) -> None:
    from asdcli.recipe.loading import load_recipe
    from asdcli.stages.looking.describe import check_components, resolved
    from asdcli.stages.overlays import running, warn_of_unknown, warn_of_unread, warn_of_unused

    recipe = load_recipe(name)
    warn_of_unread(output.workspace, output.ui, recipe)
    chosen = member or recipe.members(profile)[0]
    method, unused = running(recipe, machine=machine, member=chosen, edition=data, profile=profile)
    check_components(method, run_code=False)
    if machine is not None:
        warn_of_unknown(output.workspace, output.ui, machine)
        warn_of_unused(output.ui, recipe, machine, unused)
    document: dict[str, Any] = {"recipe": recipe.name, "title": recipe.header.title, "member": chosen}
    document |= {"cite": list(recipe.header.cite), "notes": recipe.header.notes.strip(), **resolved(method)}
    if not output.json(document):
        output.text(_yaml(document))


def _yaml(document: dict[str, Any]) -> str:
    """As YAML in which equal parts are written out each time."""
    import yaml

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    return yaml.dump(document, Dumper=Plain, sort_keys=False, width=110, default_flow_style=None).rstrip()
