"""What may stand in a recipe: the hyper-parameter table of a paper, typed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from asdcli.recipe.components import Checked, Component
from asdcli.recipe.yamlfile import Sourced
from asdcli.workspace.places import plain_name

NAMED_CHANNELS = {"near": 0, "far": 1}  # of the editions with two microphones (2026)
Channel = Annotated[
    int | Literal["mean", "difference"],
    BeforeValidator(lambda value: NAMED_CHANNELS.get(value, value) if isinstance(value, str) else value),
]
Overlay = dict[str, Any]


def _plain(name: str) -> str:
    if not plain_name(name):
        raise ValueError(f"{name!r} cannot be the name of a folder")
    return name


Name = Annotated[str, AfterValidator(_plain)]  # what folders under the root are called by, and keys of the recipe
Weight = Annotated[float, Field(gt=0)]
Norm = Literal["train", "rank", "test", "test-rank", "none"]
"""What a fusion normalises scores by: training or test clips, by mean and deviation or by rank; or plain scores."""


class Strict(Checked):
    model_config = ConfigDict(frozen=True)


class Validation(Strict):
    """What part of the training examples only measures.

    Splitting by `window` puts windows of one clip on both sides: the official baselines do so, and the validation loss
    is too good for it. `last` takes the end of the list, as Keras does; `random` draws with the run's seed.
    """

    fraction: float = Field(gt=0, lt=1)
    unit: Literal["clip", "window"] = "clip"
    pick: Literal["random", "last"] = "random"


class Clustering(Strict):
    """Classes for the machines whose clips have no attributes: clusters of what the phases before have learnt of them.

    Their number is the method's `clusters`; where that is chosen from the data, it is at most `most`.
    """

    linkage: Literal["average", "complete", "single"] = "average"
    metric: Literal["cosine", "euclidean"] = "cosine"
    most: int = Field(25, ge=2)


class Phase(Strict):
    """One training phase: its task, its classes and data, how long, and how the weights move.

    It starts from the `previous` phase's weights or from the `initial` ones, as the first phase does.
    """

    task: Component
    start: Literal["previous", "initial"] = "previous"
    cluster: Clustering | None = None
    clips: Literal["all", "source", "target"] = "all"
    needs: Literal["target"] | None = None  # left out where no training clip is of that domain
    sampler: Component = Component(name="shuffle")
    augment: tuple[Component, ...] = ()
    epochs: int | None = Field(None, ge=1)
    steps: int | None = Field(None, ge=0)  # 0: the weights stay as they start
    batch_size: int = Field(ge=1)
    accumulate: int = Field(1, ge=1)
    optimizer: Component
    schedule: Component = Component(name="constant")
    precision: Literal["float32", "bfloat16"] = "float32"
    train: tuple[str, ...] = ("*",)  # patterns of names; what none matches, and what `freeze` does, stays
    freeze: tuple[str, ...] = ()
    gradient_clip_norm: float | None = Field(None, gt=0)
    validation: Validation | None = None
    patience: int | None = Field(None, ge=1)
    keep: Literal["last", "best"] = "last"

    @model_validator(mode="after")
    def _check(self) -> Phase:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("a phase has either epochs or steps")
        if self.validation is None and (self.patience is not None or self.keep == "best"):
            raise ValueError("patience and keep: best need a validation part")
        return self


class Smote(Strict):
    """Synthetic target clips (`detection/oversampled.py`): so many that target clips are `ratio` times the others, each
    between a target clip and one of its `neighbours` nearest.
    """

    ratio: float = Field(1.0, gt=0)
    neighbours: int = Field(5, ge=1)


def _untrained() -> dict[str, Phase]:
    """What a recipe without phases has: the network stays as it starts."""
    return {"frozen": Phase.model_validate({"task": "frozen", "steps": 0, "batch_size": 1, "optimizer": "adam"})}


class Detector(Component):
    """A detector of the registry, and what has a memory of its own: each section or machine, and each domain or not.

    With `smote` the memory is filled up with synthetic target clips first.
    """

    per: Literal["section", "machine"] = "section"
    domain_wise: bool = False
    smote: Smote | None = None

    @model_validator(mode="after")
    def _check(self) -> Detector:
        if self.plugin is None and (self.model_extra or {}).get("tied") is True and self.per == "section":
            raise ValueError("tied: true is for sections that share a covariance, and takes per: machine")
        return self


class Network(Component):
    """A network of the registry, or several side by side: `branches` by name, each of which gets the same examples."""

    name: str = ""
    branches: dict[Name, Component] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Network:
        if bool(self.name) == bool(self.branches):
            raise ValueError("a model has either a name or branches")
        if self.branches and self.model_extra:
            raise ValueError(f"{next(iter(self.model_extra))} belongs to one of the branches")
        return self

    @model_serializer(mode="wrap")
    def _one_of_both(self, plainly: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = plainly(self)
        del document["name" if self.branches else "branches"]
        return document


LATER = {"start", "cluster"}  # keys of a phase that are left out of fingerprints where they say nothing


class Method(Strict):
    """All that one machine and member run: the hyper-parameter table of the paper, resolved.

    `clusters`: into how many classes a phase with `cluster` parts the machine's clips; `silhouette` takes the number
    with the largest mean silhouette (Rousseeuw 1987).
    """

    scope: Literal["machine", "all"] = "machine"
    channel: Channel
    labels: tuple[Literal["section", "attributes", "domain"], ...] = ("section",)
    frontend: Component
    view: Component
    model: Network
    pooling: Component | None = None  # of what the network makes of a clip's pieces; None: as the task has it
    clusters: Annotated[int, Field(ge=1)] | Literal["silhouette"] = "silhouette"
    phases: dict[Name, Phase] = Field(default_factory=_untrained, min_length=1)
    detectors: dict[Name, Detector] = Field(min_length=1)
    threshold: Component = Component(name="gamma")
    watch_clips: int = Field(0, ge=0)  # test clips to look at after each epoch
    _source: Sourced = PrivateAttr(default_factory=lambda: Sourced({}))

    def place(self, *path: str) -> str:
        """Where a key stands that decided this method: recipe.yaml or the machine's file, for messages."""
        return self._source.place(path)

    @model_validator(mode="after")
    def _check(self) -> Method:
        first, *_ = self.phases.values()
        if first.cluster:
            raise ValueError("the first phase has nothing to cluster; a phase before it has to learn something")
        if self.watch_clips and any(phase.cluster for phase in self.phases.values()):
            raise ValueError("watch_clips needs classes that test clips have, and clusters are of training clips")
        return self

    def training(self) -> dict[str, Any]:
        """The part that decides the weights, for fingerprints; `clusters` decides with those of the other machines."""
        document = self.model_dump(
            mode="json", exclude={"pooling", "detectors", "threshold", "watch_clips", "clusters"}
        )
        for name, phase in self.phases.items():
            for key in LATER - phase.model_dump(exclude_defaults=True).keys():
                del document["phases"][name][key]
        return document


class Fusion(Strict):
    """How a system of the recipe is fused: weights of `member/detector` scores, or the `best` so many of them.

    The best are chosen `by` their score on the dev set, whose labels that takes, or by the smallest domain gap of their
    training scores (`scores/domain_gap.py`). A `member` and a `detector` narrow the choice to their scores, and
    `per: machine` chooses for each machine type. Of `turned` sections ("fan 00") the scores count with the opposite
    sign, which only test labels can tell. `oracle` when test labels chose.
    """

    weights: dict[str, Weight] = Field(default_factory=dict)
    best: int | None = Field(None, ge=1)
    by: Literal["labels", "domain_gap"] = "labels"
    per: Literal["all", "machine"] = "all"
    member: str | None = None
    detector: str | None = None
    normalisation: Norm = "train"
    turned: tuple[str, ...] = ()
    oracle: bool = False

    @model_validator(mode="after")
    def _check(self) -> Fusion:
        if bool(self.weights) == (self.best is not None):
            raise ValueError("a system has either weights or best")
        for narrowed in ("member", "detector"):
            if getattr(self, narrowed) is not None and self.best is None:
                raise ValueError(f"{narrowed} goes with best; weights name member/detector")
        if self.by != "labels" and self.best is None:
            raise ValueError("by goes with best; weights are given")
        if self.per == "machine" and self.best is None:
            raise ValueError("per goes with best; weights are the same for all machines")
        if self.best is not None and self.by == "labels" and not self.oracle:
            raise ValueError("best is chosen with test labels and needs oracle: true")
        if wrong := [name for name in self.turned if len(name.split(" ")) != 2]:
            raise ValueError(f"turned names a machine and a section, such as 'fan 00', not '{wrong[0]}'")
        if self.turned and not self.oracle:
            raise ValueError("turned is told by test labels and needs oracle: true")
        if self.by != "labels" and self.oracle:
            raise ValueError(f"by: {self.by} takes no test labels and is no oracle")
        return self


class Published(Strict):
    """Numbers printed by somebody: machine to metric to value, in fractions; `separability` in units of the score."""

    edition: str
    set: Literal["dev", "eval"]
    system: str
    source: str
    official_score: float | None = None
    machines: dict[str, dict[str, float]] = Field(default_factory=dict)


class Header(Strict):
    title: str
    cite: tuple[str, ...] = Field(min_length=1)
    edition: Name
    notes: str = ""
    members: dict[Name, Overlay] = Field(min_length=1)
    systems: dict[Name, Fusion] = Field(default_factory=dict)
    editions: dict[Name, Overlay] = Field(default_factory=dict)
    profiles: dict[Name, Overlay] = Field(default_factory=dict)
    published: tuple[Published, ...] = ()
    # fields of system.description in meta.yaml
    submission: dict[str, str | int | None] = Field(default_factory=dict)
