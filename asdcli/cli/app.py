"""The `asd` command: global options, the list of commands, and the one place where errors become sentences."""

from __future__ import annotations

import atexit
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import typer.main

import asdcli
from asdcli.cli import (
    bank,
    doctor,
    download,
    drift,
    ensemble,
    evaluate,
    export,
    package,
    plot,
    predict,
    recipes,
    runs,
    stages,
    streams,
    threshold,
)
from asdcli.cli.console import Output, Settings, Terminal, attach_log, default_root
from asdcli.cli.repeated import refuse_repeated
from asdcli.errors import AsdError

app = typer.Typer(
    name="asd",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="The global options may also stand after the command. Every command has its own --help. "
    "Exit codes: 0 done, 1 the work failed, 2 wrong use or bad input, 3 an alarm of predict, 130 stopped by Ctrl-C.",
)


def _version(value: bool) -> None:
    if value:
        print(f"asd {asdcli.__version__}")
        raise typer.Exit()


@app.callback()
def options(
    context: typer.Context,
    root: Annotated[
        Path | None, typer.Option(help="Folder of all work.  [env: ASD_ROOT; default: ./asd_work]", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No messages and no bars, only results.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more about what is done and why.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Anomalous sound detection for machine condition monitoring: DCASE Task 2 from recordings to submission."""
    settings = Settings(root or default_root(), as_json, quiet, verbose)
    context.obj = Output(settings)
    attach_log(context.obj.ui)


for module in (
    *(download, stages, threshold, predict, drift, bank, export, ensemble, evaluate),
    *(plot, package, runs, recipes, doctor),
):
    module.register(app)

INTERRUPTED = 130  # what typer returns after Ctrl-C, and what a shell calls a command that died of it
GLOBAL_FLAGS = {"--json", "--quiet", "-q", "--verbose", "-v", "--version"}


def hoist_globals(arguments: list[str]) -> list[str]:
    """Move the global options to the front, so that they may stand before or after the command."""
    front: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            rest += [argument, *waiting]
        elif argument in GLOBAL_FLAGS or argument.startswith("--root="):
            front.append(argument)
        elif argument == "--root":
            front += [argument, *([value] if (value := next(waiting, None)) is not None else [])]
        else:
            rest.append(argument)
    return front + rest


def main() -> None:
    """Run one command; exit 0 done, 1 the work failed, 2 wrong use or bad input; after Ctrl-C die of SIGINT."""
    streams.open_closed()
    # numpy's matrices here are small: a second BLAS thread gains nothing, and on a busy machine costs a factor of 100.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if not os.environ.get("COLUMNS", "").strip("0"):  # some shells in containers say 0, and nothing fits into that
        os.environ.pop("COLUMNS", None)
    arguments = hoist_globals(sys.argv[1:]) or ["--help"]
    last: list[Callable[[], None]] = []  # what is registered first is called last, after all that must be tidied up
    atexit.register(lambda: [call() for call in last])
    try:
        command = typer.main.get_command(app)
        refuse_repeated(command, arguments)
        code = command(arguments, standalone_mode=False, prog_name="asd") or 0
        streams.flush_results()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except typer.Abort as error:  # at a question: Ctrl-C, or no answer at all
        if not isinstance(error.__context__, KeyboardInterrupt):
            _fail("The question was not answered, and nothing was done.", "", 1)
        code = INTERRUPTED
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        _fail(error.format_message(), f"{context.command_path if context else 'asd'} --help", 2)
    except AsdError as error:
        _fail(str(error), error.hint, error.exit_code)
    except Exception as error:
        sentence, hint = _sentence(error)
        if sentence is None:
            raise
        _fail(sentence, hint, 1)
    if code == INTERRUPTED:
        Terminal(Settings()).say("Stopped. The same command goes on from here.")
        last.append(streams.end_by_interrupt)
    streams.end(code)


def _sentence(error: Exception) -> tuple[str | None, str]:
    """One sentence and the next step for errors of the machine; None for our own mistakes, which keep a traceback."""
    if isinstance(error, BrokenPipeError):
        return "The output was closed before all of it was written.", ""
    if isinstance(error, OSError) and error.errno == errno.EBADF and error.filename is None:
        return "stdout is closed: there is nowhere to write the results.", ""
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return f"No file may become so large here ({error.filename or 'writing'}).", "ulimit -f shows the limit."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full ({error.filename or 'writing'}).", "Free some space; the same command goes on."
    if isinstance(error, FileNotFoundError) and error.filename is None:  # what tempfile says where it finds no room
        return f"{error.strerror or error}: the disk may be full.", ""
    if isinstance(error, PermissionError):
        return f"No permission for {error.filename}.", "Choose another folder with --root."
    if isinstance(error, OSError):
        return f"{error.filename or 'A file'}: {error.strerror or error}.", ""
    if type(error).__name__ == "OutOfMemoryError":
        return "The GPU has not enough memory for this.", "--device cpu, or a smaller batch_size in the recipe"
    if isinstance(error, MemoryError):
        return "This machine has not enough memory for this.", "Choose fewer machines with --machine."
    return None, ""


def _fail(sentence: str, hint: str, code: int) -> NoReturn:
    terminal = Terminal(Settings())
    terminal._print(f"Error: {sentence}")
    if hint:
        terminal._print(f"  Try: {hint}" if " " not in hint or hint.startswith(("asd ", "--")) else f"  {hint}")
    streams.end(code)
