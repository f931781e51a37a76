"""Mixup: examples mixed with others of the same phase."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from asdcli.training.labels import CLASS
from asdcli.training.views.view import Batch, Mix, Mixed, View

Partners = Literal["another_class", "same_machine", "any"]


class Mixup:
    """Each example with a partner, x = (1 - r) x_a + r x_b (Zhang et al. 2018, arXiv:1710.09412).

    Partners are other clips among the examples that the phase trains on, never held-out ones or another phase's. An
    example without a possible partner stays as it is.

    Args:
        view: the training examples.
        place: what is mixed, `waveform`s, before the view makes features of them, or `features`.
        partners: clips of another class, clips of the same machine, or any.
        from_domain: partners of any domain, or of the source domain only, so that a target clip never is one (Zhou
            2021, phase 2); clips of unknown domain count as source.
        law: of r: `uniform` from 0 to `largest`, or r = 1 - l with l of a `beta` distribution Beta(alpha, alpha).
        largest: of the uniform law.
        alpha: of the beta law.
        per: each `sample` has its own r, or all of a `batch` share one.
        keep: the batch has also the two parts of each example, as the inputs `first` and `second`, beside `mixed`; only
            of features.
    """

    def __init__(
        self,
        view: View,
        *,
        place: Literal["waveform", "features"] = "waveform",
        partners: Partners = "another_class",
        from_domain: Literal["any", "source"] = "any",
        law: Literal["uniform", "beta"] = "uniform",
        largest: float = 0.5,
        alpha: float = 0.5,
        per: Literal["sample", "batch"] = "sample",
        keep: bool = False,
    ) -> None:
        if not 0 <= largest <= 1:
            raise ValueError(f"largest is a share between 0 and 1, not {largest}")
        if alpha <= 0:
            raise ValueError(f"alpha is above 0, not {alpha}")
        if keep and place == "waveform":
            raise ValueError("keep is of features; waveforms are mixed before there are examples")
        if place == "waveform" and not getattr(view, "mixes_waveforms", False):
            raise ValueError("this view has no waveforms to mix; place: features mixes what it makes")
        self.view, self.place, self.keep = view, place, keep
        self.law, self.largest, self.alpha, self.per = law, largest, alpha, per
        if partners == "another_class":
            self._group, self._other = view.labels[CLASS], True
        elif partners == "same_machine":
            machines = {name: number for number, name in enumerate(dict.fromkeys(view.clips.machine.tolist()))}
            self._group = torch.tensor([machines[name] for name in view.clips.machine.tolist()])
            self._other = False
        else:
            self._group, self._other = torch.zeros(len(view.clips), dtype=torch.int64), False
        is_target = torch.from_numpy(view.clips.domain == "target")
        self._may_be_partner = ~is_target if from_domain == "source" else torch.ones_like(is_target)

    def draw(self, examples: Tensor, generator: torch.Generator, among: Tensor) -> Mix:
        """A partner and a share for each example. among: those that may be partners, `[examples]`."""
        partner = self._partners(examples, generator, among)
        rate = self._rates(len(examples), generator)
        rate[self.view.clip[partner] == self.view.clip[examples]] = 0
        return Mix(partner, rate)

    def __call__(
        self, make: Callable[..., Batch], among: Tensor, examples: Tensor, generator: torch.Generator, mix: None = None
    ) -> Batch:
        """The examples, mixed. Raises ValueError where waveforms are mixed already."""
        if mix is not None:
            raise ValueError("a phase mixes waveforms once")
        drawn = self.draw(examples, generator, among)
        if self.place == "waveform":
            return make(examples, generator, drawn)
        first, second = make(examples, generator), make(drawn.partner, generator)
        rate = drawn.rate.to(first.x.device)
        x = torch.lerp(first.x, second.x, rate.view(-1, *[1] * (first.x.ndim - 1)))
        parts = {"first": first.x, "second": second.x} if self.keep else {}
        return Batch({"mixed": x, **parts}, first.clip, first.labels, Mixed(second.clip, second.labels, rate))

    def _rates(self, count: int, generator: torch.Generator) -> Tensor:
        drawn = 1 if self.per == "batch" else count
        if self.law == "uniform":
            rate = self.largest * torch.rand(drawn, generator=generator)
        else:
            seed = int(torch.randint(2**62, (), generator=generator))  # torch's beta takes no generator
            rate = torch.from_numpy(np.random.default_rng(seed).beta(self.alpha, self.alpha, drawn)).float()
        return rate.expand(count).clone()

    def _partners(self, examples: Tensor, generator: torch.Generator, among: Tensor) -> Tensor:
        """For each example, one of these whose clip is of another group or, so asked, another clip of the same group:
        each as likely. Where there is none, the example itself.
        """
        among = among[self._may_be_partner[self.view.clip[among]]]
        if not len(among):
            return examples
        # In the order of groups and clips, what may not be a partner of an example lies side by side.
        clip = self.view.clip[among]
        order = among[torch.argsort(clip, stable=True)]
        order = order[torch.argsort(self._group[self.view.clip[order]], stable=True)]
        own, group = self.view.clip[order], self._group[self.view.clip[order]]
        own_group = self._group[self.view.clip[examples]]
        begin, end = torch.searchsorted(group, own_group), torch.searchsorted(group, own_group, right=True)
        draw = torch.rand(len(examples), generator=generator, dtype=torch.float64)
        if self._other:
            free = len(order) - (end - begin)
            drawn = (draw * free).long()
            places = drawn + torch.where(drawn >= begin, end - begin, 0)
        else:
            key = group * len(self._group) + own  # sorted, since both are
            wanted = own_group * len(self._group) + self.view.clip[examples]
            first, last = torch.searchsorted(key, wanted), torch.searchsorted(key, wanted, right=True)
            free = (end - begin) - (last - first)
            drawn = begin + (draw * free).long()
            places = drawn + torch.where(drawn >= first, last - first, 0)
        return torch.where(free > 0, order[places.clamp(max=len(order) - 1)], examples)
