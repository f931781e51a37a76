"""What recipes are made of: every component checked against its registry, networks counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from asdcli.errors import UserError
from asdcli.recipe.components import Component, Registry, build, check, lookup
from asdcli.recipe.loading import Recipe, load_recipe, recipe_names
from asdcli.recipe.plugins import Plugin
from asdcli.recipe.schema import Method


def named(method: Method) -> Iterator[tuple[tuple[str, ...], str, Component]]:
    """Every component of a method: its key path, what kind of thing it is, and itself."""
    yield ("frontend",), "front end", method.frontend
    yield ("view",), "view", method.view
    if method.model.branches:
        for name, branch in method.model.branches.items():
            yield ("model", "branches", name), "model", branch
    else:
        yield ("model",), "model", method.model
    yield ("threshold",), "threshold", method.threshold
    if method.pooling:
        yield ("pooling",), "pooling", method.pooling
    for name, phase in method.phases.items():
        yield ("phases", name, "task"), "task", phase.task
        yield ("phases", name, "sampler"), "sampler", phase.sampler
        yield ("phases", name, "optimizer"), "optimizer", phase.optimizer
        yield ("phases", name, "schedule"), "schedule", phase.schedule
        for number, augment in enumerate(phase.augment):
            yield ("phases", name, "augment", str(number)), "augment", augment
    for name, detector in method.detectors.items():
        yield ("detectors", name), "detector", detector


def components(method: Method) -> Iterator[tuple[tuple[str, ...], Registry, str, Component]]:
    """Every component of a method: its key path, its registry, what kind of thing it is, and itself."""
    from asdcli.audio.frontends import FRONTENDS
    from asdcli.detection.detectors import DETECTORS
    from asdcli.detection.thresholds import THRESHOLDS
    from asdcli.nn.backbones import BACKBONES
    from asdcli.nn.optimizers import OPTIMIZERS
    from asdcli.nn.pooling import CLIP_POOLINGS
    from asdcli.nn.schedules import SCHEDULES
    from asdcli.training.augments import AUGMENTS
    from asdcli.training.samplers import SAMPLERS
    from asdcli.training.tasks import TASKS
    from asdcli.training.views import VIEWS

    registries: dict[str, Registry] = {
        "front end": FRONTENDS,
        "view": VIEWS,
        "model": BACKBONES,
        "threshold": THRESHOLDS,
        "pooling": CLIP_POOLINGS,
        "task": TASKS,
        "sampler": SAMPLERS,
        "optimizer": OPTIMIZERS,
        "schedule": SCHEDULES,
        "augment": AUGMENTS,
        "detector": DETECTORS,
    }
    for path, kind, component in named(method):
        yield path, registries[kind], kind, component


def plugins(method: Method) -> list[Plugin]:
    """The code of its own that a recipe names, each once."""
    found = [component.plugin for _, _, component in named(method)]
    return list(dict.fromkeys(plugin for plugin in found if plugin is not None))


def check_components(method: Method, run_code: bool = True) -> None:
    """Refuse unknown components, parameters and pairs, naming the place in the recipe.

    run_code: whether code that the recipe names may be run; left out, it only has to be there.
    """
    for path, registry, kind, component in components(method):
        try:
            if component.plugin and not run_code:
                component.plugin.find()
            else:
                check(registry, kind, component)
        except UserError as error:
            key = (*path, *getattr(error, "path", ("name",)))
            said = str(error).removesuffix(".")
            raise UserError(f"{method.place(*key)}: {'.'.join(key)}: {said}.", error.hint) from None
    if run_code or not plugins(method):
        _check_example(method)
        _check_classes(method)


def _check_example(method: Method) -> None:
    """Refuse a view that cannot cut its examples from what the front end hears."""
    try:
        example_shape(method)
    except UserError as error:  # of the front end or the model: said of those
        raise UserError(f"{method.place('frontend')}: {error}", error.hint) from None
    except ValueError as error:
        raise UserError(f"{method.place('view')}: view: {method.view.name}: {error}.") from None


def _check_classes(method: Method) -> None:
    """Refuse what goes by the classes of clips where the network learns to tell other classes apart."""
    from asdcli.detection.detectors import DETECTORS
    from asdcli.training.views import VIEWS

    if getattr(lookup(VIEWS, "view", method.view), "clip_classes", True):
        return
    for name, phase in method.phases.items():
        if phase.cluster:
            raise UserError(
                f"{method.place('phases', name, 'cluster')}: phases.{name}.cluster makes classes of clips, but those "
                f"of the view {method.view.name} are not of clips."
            )
    for name, detector in method.detectors.items():
        if getattr(lookup(DETECTORS, "detector", detector), "needs_labels", False):
            raise UserError(
                f"{method.place('detectors', name)}: detectors.{name}: {detector.name} goes by the clips' classes, "
                f"but those of the view {method.view.name} are not of clips.",
                "Choose a detector of embeddings, or a view whose classes are those of the clips.",
            )


def resolved(method: Method) -> dict[str, Any]:
    """The method as plain data with every default written out, those of the components included; of code that the
    recipe names only what it says of it, since none of it is run.
    """
    document = method.model_dump(mode="json")
    for path, registry, kind, component in components(method):
        place: Any = document
        for key in path:
            place = place[int(key)] if isinstance(place, list) else place[key]
        if component.plugin is None:
            place |= check(registry, kind, component)
    return document


def describe_recipes() -> list[dict[str, Any]]:
    """Name, title, edition, members with parameter counts and published weights, systems and folder of every recipe."""
    return [_describe(load_recipe(name)) for name in recipe_names()]


def _describe(recipe: Recipe) -> dict[str, Any]:
    header = recipe.header
    members, counts = {}, dict[str, int]()
    for member in header.members:
        method = recipe.resolve(member=member, edition=header.edition)
        check_components(method)
        network = json.dumps([method.model.model_dump(mode="json"), example_shape(method)])
        if network not in counts:
            counts[network] = count_parameters(method)
        members[member] = {"parameters": counts[network], "weights": ", ".join(published_weights(method))}
    return {
        "name": recipe.name,
        "title": header.title,
        "edition": header.edition,
        "members": members,
        "systems": list(header.systems),
        "path": str(recipe.folder),
    }


def published_weights(method: Method) -> list[str]:
    """The names of the published weights that the network starts from."""
    return [name for name, _ in starts(method) if name]


def starts(method: Method) -> list[tuple[str, str]]:
    """What each network of a method starts from: the name of published weights, empty for none, and what the recipe
    says.
    """
    found = []
    for _, registry, kind, component in components(method):
        if kind == "model":
            params, network = check(registry, kind, component), lookup(registry, kind, component)
            published = network.published_weights(**params) if hasattr(network, "published_weights") else ""
            found.append((str(published), str(params.get("weights", "random"))))
    return found


def example_shape(method: Method) -> tuple[int, ...]:
    """The shape of one example, as the network gets it. Raises ValueError if the view cannot have this front end."""
    from asdcli.audio.frontends import FRONTENDS
    from asdcli.training.views import VIEWS

    frontend = build(FRONTENDS, "front end", method.frontend)
    view: Any = lookup(VIEWS, "view", method.view)
    shape: tuple[int, ...] = view.shape(frontend, **check(VIEWS, "view", method.view))
    return shape


def count_macs(method: Method) -> int | None:
    """Multiply-accumulates of convolutions and matrix products in one pass of the network over one example; None where
    the clips decide how long an example is, for which a length of 1 stands.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from asdcli.nn.branches import build_network

    shape = example_shape(method)
    if 1 in shape:
        return None
    model = build_network(method.model, shape).eval()
    plain = sdpa_kernel(SDPBackend.MATH)  # the fused attention of the CPU is not counted
    with torch.no_grad(), plain, FlopCounterMode(display=False) as counter:  # inference_mode hides weights with a norm
        model(torch.zeros(1, *shape))
    return int(counter.get_total_flops()) // 2


def count_parameters(method: Method) -> int:
    """Trainable values of the network, without the heads that only training needs."""
    import torch

    from asdcli.nn.branches import build_network

    shape = example_shape(method)
    with torch.device("meta"):  # no values are needed to count them
        model = build_network(method.model, shape)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
