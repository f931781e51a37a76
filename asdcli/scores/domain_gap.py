"""How well a system's scores tell the domains of normal clips apart: what can be known of a system without labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asdcli.challenge.editions.clipnames import parse_clip_name
from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.metrics.official import auc
from asdcli.errors import UserError
from asdcli.scores.folders import ScoreFolder
from asdcli.scores.shares import Best, Shares


def domain_gaps(edition: Edition, folder: ScoreFolder) -> dict[str, float]:
    """By machine, the mean over its sections of |AUC - 0.5|, of target against source training clips: 0 to 0.5.

    Each training clip's score is against a bank without it, so that it is that of a normal clip never heard. Where it
    tells the domain, normal target clips are called anomalous or anomalous source clips are not, and one threshold
    cannot serve both domains. Sections with clips of one domain only do not count; machines without any other are left
    out.
    """
    gaps: dict[str, list[float]] = {}
    for unit, (clips, scores) in folder.read_train().items():
        domains = [_domain(edition, name) for name in clips]
        is_target = np.array([domain == "target" for domain in domains])
        known = is_target | np.array([domain == "source" for domain in domains])
        if 0 < is_target.sum() < known.sum():
            gaps.setdefault(unit.machine, []).append(abs(auc(is_target[known].astype(int), scores[known]) - 0.5))
    return {machine: float(np.mean(found)) for machine, found in gaps.items()}


def steadiest(edition: Edition, folders: Sequence[ScoreFolder], best: Best) -> Shares:
    """Equal shares for the systems with the smallest domain gaps, of all machines or of each; of equal ones the first.

    Machines whose training clips are of one domain, or that a system has not scored, have equal shares of all systems
    where each machine has its own. Raises UserError where no machine has clips of both.
    """
    gaps = {folder.name: domain_gaps(edition, folder) for folder in folders}
    machines = [machine for machine in next(iter(gaps.values())) if all(machine in found for found in gaps.values())]
    if not machines:
        raise UserError(
            "No training clips of both domains were scored, and by: domain_gap compares their scores.",
            "Equal shares need none: asd ensemble without --system.",
        )

    def choose(some: Sequence[str]) -> dict[str, float]:
        means = {name: np.mean([found[machine] for machine in some]) for name, found in gaps.items()}
        return dict.fromkeys(sorted(means, key=lambda name: means[name])[: best.count], 1.0)

    equal = dict.fromkeys(gaps, 1.0)
    if not best.per_machine:
        return Shares(choose(machines))
    return Shares(equal, {machine: choose([machine]) for machine in machines})


def _domain(edition: Edition, name: str) -> str:
    clip = parse_clip_name(edition, "dev", "train", name)
    return clip.domain if clip else ""
