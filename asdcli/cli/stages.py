"""`asd features`, `embed`, `score`: three stages with the same choices, which differ in how far they go."""

from __future__ import annotations

from collections.abc import Callable

import typer

from asdcli.cli import options, train

HELP = {
    "features": """Decode the clips once and compute the recipe's features.

    Packs the clips of each machine into the store and caches the front end's features beside it. Does only what is
    missing or stale.
    """,
    "embed": """Compute one embedding per clip with the trained networks.

    Trains first what is not trained yet.
    """,
    "score": """Write the challenge's score and decision files.

    Embeds first what is not embedded yet. Training clips are scored against a bank without them: thresholds and score
    normalisation come from there.
    """,
}


def register(app: typer.Typer) -> None:
    """With `train` in its place among them."""
    for stage, text in HELP.items():
        if stage == "embed":
            train.register(app)
        example = f"Example: `asd {stage} --recipe baseline_ae --data demo --machine SynFan`"
        app.command(stage, help=text, epilog=example)(_command(stage))


def _command(stage: str) -> Callable[..., None]:
    def command(
        context: typer.Context,
        recipe: options.Recipe = None,
        data: options.Data = None,
        machine: options.Machine = None,
        member: options.Member = None,
        set_name: options.Set = options.SetName.all,
        seed: options.Seeds = options.FIRST_SEED,
        device: options.Device = options.AUTO,
        profile: options.Profile = None,
    ) -> None:
        options.run_stage(
            context,
            stage,
            recipe=recipe,
            data=data,
            machines=machine,
            members=member,
            set_name=set_name,
            seeds=seed,
            device=device,
            profile=profile,
        )

    return command
