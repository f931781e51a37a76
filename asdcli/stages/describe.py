"""What recipes are made of: every component checked against its registry, networks counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from asdcli.errors import UserError
from asdcli.recipe.components import Component, ComponentError, check
from asdcli.recipe.loading import Recipe, load_recipe, recipe_names
from asdcli.recipe.schema import Method


def components(method: Method) -> Iterator[tuple[tuple[str, ...], Mapping[str, Callable[..., Any]], str, Component]]:
    """Every component of a method: its key path, its registry, what kind of thing it is, and itself."""
    from asdcli.audio.frontends import FRONTENDS
    from asdcli.detection.detectors import DETECTORS
    from asdcli.detection.thresholds import THRESHOLDS
    from asdcli.nn.backbones import BACKBONES
    from asdcli.nn.optimizers import OPTIMIZERS
    from asdcli.nn.schedules import SCHEDULES
    from asdcli.training.samplers import SAMPLERS
    from asdcli.training.tasks import TASKS
    from asdcli.training.views import VIEWS

    yield ("frontend",), FRONTENDS, "front end", method.frontend
    yield ("view",), VIEWS, "view", method.view
    yield ("model",), BACKBONES, "model", method.model
    yield ("threshold",), THRESHOLDS, "threshold", method.threshold
    for name, phase in method.phases.items():
        yield ("phases", name, "task"), TASKS, "task", phase.task
        yield ("phases", name, "sampler"), SAMPLERS, "sampler", phase.sampler
        yield ("phases", name, "optimizer"), OPTIMIZERS, "optimizer", phase.optimizer
        yield ("phases", name, "schedule"), SCHEDULES, "schedule", phase.schedule
    for name, detector in method.detectors.items():
        yield ("detectors", name), DETECTORS, "detector", detector


def check_components(recipe: Recipe, method: Method) -> None:
    """Refuse unknown components and parameters, naming the place in the recipe."""
    for path, registry, kind, component in components(method):
        try:
            check(registry, kind, component)
        except ComponentError as error:
            key = (*path, *error.path)
            raise UserError(f"{method.place(*key)}: {'.'.join(key)}: {error}.") from None
    _check_classes(method)


def _check_classes(method: Method) -> None:
    """Refuse a detector that goes by the classes of clips where the network has learnt to tell other classes apart."""
    from asdcli.detection.detectors import DETECTORS
    from asdcli.training.views import VIEWS

    if getattr(VIEWS[method.view.name], "clip_classes", True):
        return
    for name, detector in method.detectors.items():
        if getattr(DETECTORS[detector.name], "needs_labels", False):
            raise UserError(
                f"{method.place('detectors', name)}: detectors.{name}: {detector.name} goes by the clips' classes, "
                f"but those of the view {method.view.name} are not of clips.",
                "Choose a detector of embeddings, or a view whose classes are those of the clips.",
            )


def resolved(method: Method) -> dict[str, Any]:
    """The method as plain data with every default written out, those of the components included."""
    document = method.model_dump(mode="json")
    for path, registry, kind, component in components(method):
        place = document
        for key in path:
            place = place[key]
        place |= check(registry, kind, component)
    return document


def describe_recipes() -> list[dict[str, Any]]:
    """Name, title, edition, members with parameter counts and published weights, systems and folder of every recipe."""
    return [_describe(load_recipe(name)) for name in recipe_names()]


def _describe(recipe: Recipe) -> dict[str, Any]:
    header = recipe.header
    members = {}
    for member in header.members:
        method = recipe.resolve(member=member, edition=header.edition)
        check_components(recipe, method)
        members[member] = {"parameters": count_parameters(method), "weights": published_weights(method)}
    return {
        "name": recipe.name,
        "title": header.title,
        "edition": header.edition,
        "members": members,
        "systems": list(header.systems),
        "path": str(recipe.folder),
    }


def published_weights(method: Method) -> str:
    """The name of the published weights that the network starts from; empty for none."""
    from asdcli.nn.backbones import BACKBONES

    network: Any = BACKBONES[method.model.name]
    if not hasattr(network, "published_weights"):
        return ""
    return str(network.published_weights(**check(BACKBONES, "model", method.model)))


def count_parameters(method: Method) -> int:
    """Trainable values of the network, without the heads that only training needs."""
    from asdcli.audio.frontends import FRONTENDS
    from asdcli.nn.backbones import BACKBONES
    from asdcli.recipe.components import build
    from asdcli.training.views import VIEWS

    frontend = build(FRONTENDS, "front end", method.frontend)
    view = VIEWS[method.view.name]
    shape = view.shape(frontend, **check(VIEWS, "view", method.view))  # type: ignore[attr-defined]
    model = build(BACKBONES, "model", method.model, shape)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
