"""`asd threshold`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asdcli.cli import options
from asdcli.cli.console import Output
from asdcli.errors import UserError

if TYPE_CHECKING:
    from asdcli.stages.predicting.threshold import Found, Wish

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "week": 7 * 86400, "month": 30 * 86400, "year": 365 * 86400}
LONG = {"sec": "s", "second": "s", "minute": "min", "hour": "h", "day": "d", "w": "week", "m": "min"}
Detector = Annotated[str | None, typer.Option(help="Only this detector of the recipe.")]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `asd threshold --machine SynFan --false-alarms 1/day --every 10min`")(threshold)


def threshold(
    context: typer.Context,
    false_alarms: Annotated[
        str | None, typer.Option(help="How many are bearable, such as 1/day or 2/week; goes with --every.")
    ] = None,
    every: Annotated[str | None, typer.Option(help="How often a clip is scored, such as 10min or 30s.")] = None,
    fpr: Annotated[
        float | None, typer.Option(help="Or the share of normal clips that may alarm, such as 0.01.")
    ] = None,
    value: Annotated[float | None, typer.Option(help="Or the threshold itself, of one detector's score.")] = None,
    unset: Annotated[bool, typer.Option("--unset", help="Let the recipe's rule decide again.")] = False,
    clips: Annotated[
        list[str] | None,
        typer.Option(
            help="Normal sounds that are no training clips, to calibrate with: a file, folder or pattern; may be "
            "repeated. What a trained network needs for a promise."
        ),
    ] = None,
    recipe: options.Recipe = None,
    data: options.Data = None,
    machine: options.Machine = None,
    member: options.Member = None,
    detector: Detector = None,
    section: Annotated[str | None, typer.Option(help="Only this section, such as 00.")] = None,
    seed: options.Seed = 0,
    device: options.Device = options.AUTO,
    profile: options.Profile = None,
) -> None:
    """Set the threshold by how many false alarms are bearable, and say what the clips can support.

    Conformal: the threshold is one of the scores of normal clips, each against a bank without it. Where a network was
    trained on them nothing is promised, unless --clips has others. It is kept with the run; `asd score`, `asd predict`
    and packages use it. With no wish it prints what is set.
    """
    from asdcli.audio.soundfiles import sound_files
    from asdcli.stages.predicting import threshold as stage

    output: Output = context.obj
    wish = wish_of(false_alarms, every, fpr, value, unset)
    if clips and (wish is None or wish.rate is None):
        raise UserError("--clips are for a rate of false alarms.", "--false-alarms or --fpr")
    held_out = sound_files(clips or [])
    selection = options.selection_of(
        output, recipe=recipe, data=data, machines=machine, members=member, seed=seed, device=device, profile=profile
    )
    if wish is not None:
        found = stage.run(selection, wish, detector, section, held_out)
    else:
        found = (stage.unset if unset else stage.current)(selection, detector)
    if output.json([_document(one) for one in found]):
        return
    output.table(f"Thresholds: {selection.label} on {selection.edition.name}", COLUMNS, [_row(one) for one in found])
    for sentence in dict.fromkeys(sentence for one in found for sentence in sentences(one)):
        output.text(sentence)


def wish_of(
    false_alarms: str | None, every: str | None, fpr: float | None, value: float | None, unset: bool = False
) -> Wish | None:
    """What the options ask for; None for no wish."""
    from asdcli.stages.predicting.threshold import Wish

    given = [
        name for name, one in (("--false-alarms", false_alarms), ("--fpr", fpr), ("--value", value)) if one is not None
    ]
    if len(given) + unset > 1:
        raise UserError(
            f"{' and '.join(given + ['--unset'] * unset)} say two things about one threshold.", "one of them"
        )
    if (false_alarms is None) != (every is None):
        raise UserError(
            "A count of false alarms needs to know how often a clip is scored.", "--false-alarms 1/day --every 10min"
        )
    if value is not None:
        return Wish(f"{value:g}", value=value)
    if fpr is not None:
        return Wish(f"{fpr:g} of the clips", rate=_rate(fpr, f"--fpr {fpr:g}"))
    if false_alarms is not None and every is not None:
        count, period = _count(false_alarms)
        step = _seconds(every)
        return Wish(
            f"{false_alarms} at {period / step:.4g} clips per {false_alarms.partition('/')[2]}",
            rate=_rate(count * step / period, f"{false_alarms} with a clip every {every}"),
        )
    return None


def _rate(rate: float, said: str) -> float:
    if not 0 < rate < 1:
        raise UserError(f"{said} means that {rate:.4g} of all clips alarm; the share lies between 0 and 1.")
    return rate


def _count(text: str) -> tuple[float, float]:
    """Such as 1/day: how many, and in how many seconds."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:/|per)\s*(.+)", text)
    if not match or float(match[1]) == 0:
        raise UserError(f"'{text}' is no count of false alarms.", "--false-alarms 1/day, 2/week or 1/3days")
    return float(match[1]), _seconds(match[2])


def _seconds(text: str) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)?\s*([a-z]+)\s*", text.lower())
    unit = match[2] if match else ""
    unit = unit if unit in SECONDS or unit in LONG else unit.removesuffix("s")
    length = SECONDS.get(LONG.get(unit, unit), 0) * float(match[1] or 1) if match else 0.0
    if not length:
        raise UserError(f"'{text}' is no length of time.", "Such as 10min, 30s, 2h, day or week.")
    return length


COLUMNS = ("system", "machine", "section", "threshold", "asked for", "from", "false alarms promised", "of this bank")


def _row(found: Found) -> tuple[str, ...]:
    about = (f"{found.member}/{found.detector}", found.machine, found.section)
    one, made = found.threshold, found.conformal
    if one is None:
        return (*about, "-", "the recipe's rule", "", "", "")
    if made is None:
        return (*about, f"{one.value:.6g}", one.said, "given", "none", "")
    promised = "none" if one.promised is None else odds(one.promised)
    low, high = made.interval()
    bank = "" if one.promised is None else f"{low:.2%} to {high:.2%}"
    return (*about, f"{one.value:.6g}", one.said, f"{one.clips} {one.source}", promised, bank)


def sentences(found: Found) -> list[str]:
    """What the clips can support, and what a promise rests on."""
    from asdcli.detection.conformal import clips_for
    from asdcli.stages.predicting.threshold import HELD_OUT, LEARNT

    one, made = found.threshold, found.conformal
    if one is None or made is None:
        return []
    where = f"{found.machine} section {found.section}"
    if one.source == LEARNT:
        return [
            f"No promise for {found.member}: its network was trained on these clips, which therefore score lower than "
            "normal clips to come; expect more false alarms. Record normal clips that it has not seen: --clips PATH."
        ]
    said = []
    if not made.supported:
        said.append(
            f"{where}: {one.clips} clips support {odds(1 / (one.clips + 1))} at best; for {one.said} record "
            f"{clips_for(made.wanted)}."
        )
    if found.days:
        said.append(f"{where}: clips of {found.days} days, each day compared with the others alone.")
    else:
        said.append(
            "The promise is for clips that differ as these do: clips of one day, or windows of one recording, are "
            "alike and count for fewer."
        )
    if one.source == HELD_OUT:
        said.append("The interval is where the rate for this one bank lies with 95 % (Beta distribution).")
    else:
        said.append(
            "The interval is where the rate for this one bank lies with 95 % (Beta distribution, which leave-one-out "
            "scores follow nearly)."
        )
    return said


def odds(rate: float) -> str:
    """A rate as `1 in 21`."""
    return f"1 in {1 / rate:.4g}"


def _document(found: Found) -> dict[str, Any]:
    from asdcli.detection.conformal import clips_for

    one, made = found.threshold, found.conformal
    document: dict[str, Any] = {
        "system": f"{found.member}/{found.detector}",
        "machine": found.machine,
        "section": found.section,
        "threshold": one and one.value,
        "asked_for": one and one.said,
    }
    if one is not None and made is not None:
        document |= {
            "clips": one.clips,
            "source": one.source,
            "rate_wanted": one.wanted,
            "rate_promised": one.promised,
            "interval_95": list(made.interval()) if one.promised is not None else None,
            "clips_needed": clips_for(made.wanted),
            "days": found.days,
        }
    return document
