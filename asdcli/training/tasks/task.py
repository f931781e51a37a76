"""What a phase optimises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch

import torch
from torch import Tensor, nn

from asdcli.errors import UserError
from asdcli.nn.optimizers import other_names
from asdcli.nn.pooling import Pool
from asdcli.training.views.view import Batch

AT_ONCE = {"cpu": 2 << 20}  # bytes of examples that a network sees at once when clips are embedded: what caches hold
AT_ONCE_ELSEWHERE = 64 << 20


@dataclass(frozen=True)
class Alarm:
    """What is said of a run when a logged figure falls below a limit in an epoch; `{value}` stands for the figure."""

    figure: str
    limit: float
    sentence: str


class Task(nn.Module):
    """A network with its loss, and whatever heads the loss needs. The loop knows nothing more about a method.

    A phase starts with the weights of the phase before it wherever names and shapes agree, so a task keeps the
    backbone under `self.model` and gives heads that should live on the same name in both phases. Where a phase asks for
    bfloat16, `self.model(...)` alone computes in it and returns float32 (`training/precision.py`).
    """

    model: nn.Module
    alarms: tuple[Alarm, ...] = ()

    @staticmethod
    def learns_from_whole_clips(**params: object) -> bool:
        """Whether training looks at clips as they are cut to be embedded (for means and deviations, say)."""
        return False

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """`loss`, a scalar, is minimised, and anything else is logged: scalars as their mean over the epoch's examples,
        pairs `[2]` of a sum and how many it is of as the mean of those.
        """
        raise NotImplementedError

    def embed(self, examples: Tensor, counts: list[int]) -> dict[str, Tensor]:
        """What detectors read of some clips, `[clips, ...]` by name: if a task says nothing else, `embedding`, the mean
        over a clip's examples of the network's output, `[clips, size]`.

        examples: those of all the clips, one clip's after another's, `[examples, ...]`; counts: how many each has.
        """
        return {"embedding": clip_means(self.outputs(examples), counts)}

    def pooled(self, examples: Tensor, counts: list[int], pool: Pool) -> dict[str, Tensor]:
        """As `embed`, where the recipe says how to pool: `embedding`, `[clips, size]`, of all that the network makes of
        a clip, of each token if it makes tokens.
        """
        parts = self.outputs(examples).split(counts)
        return {"embedding": torch.stack([pool(part.flatten(0, -2)) for part in parts])}

    def outputs(self, examples: Tensor) -> Tensor:
        """What the network makes of the examples, in parts of a size that suits the device."""
        if torch.compiler.is_exporting():
            return self._in_a_loop(examples) if examples.nbytes > AT_ONCE["cpu"] else self.model(examples)
        number = max(1, bytes_at_once(examples.device) // examples[0].nbytes)
        return torch.cat([self.model(part) for part in examples.split(number)])

    def _in_a_loop(self, examples: Tensor) -> Tensor:
        """One after the other, so that a graph holds the network once and takes no more memory for longer clips."""
        from torch._higher_order_ops.scan import scan

        def step(done: Tensor, example: Tensor) -> tuple[Tensor, Tensor]:
            return done + 1, self.model(example[None])[0]

        _, found = scan(step, examples.new_zeros(1), examples)
        return found


def bytes_at_once(device: torch.device) -> int:
    return AT_ONCE.get(device.type, AT_ONCE_ELSEWHERE)


def clip_means(values: Tensor, counts: list[int]) -> Tensor:
    """`[examples, ...]` to the mean over each clip's, `[clips, ...]`."""
    return torch.stack([part.mean(0) for part in values.split(counts)])


def carry_over(task: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load the entries of `state` that the task has under the same name and shape."""
    own = task.state_dict()
    task.load_state_dict(
        {name: state[name] for name in own if name in state and state[name].shape == own[name].shape}, strict=False
    )


def freeze(task: nn.Module, train: tuple[str, ...], freeze: tuple[str, ...]) -> None:
    """Stop the gradient of parameters whose name matches no pattern of `train`, such as `model.encoder.*`, or one of
    `freeze`.
    """
    named = list(task.named_parameters())
    for key, patterns in (("train", train), ("freeze", freeze)):
        for pattern in patterns:
            if not any(fnmatch(name, pattern) for name, _ in named):
                raise UserError(f"{key}: no parameter is called '{pattern}'{other_names(pattern, named)}")
    for name, parameter in named:
        is_trained = any(fnmatch(name, pattern) for pattern in train)
        if not is_trained or any(fnmatch(name, pattern) for pattern in freeze):
            parameter.requires_grad_(False)


def train_mode(task: nn.Module) -> None:
    """Training mode, but frozen batch norms keep their statistics."""
    task.train()
    for module in task.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()
