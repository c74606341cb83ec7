"""The `framewire` command: messages over connections, recorded streams to messages and back.

`main` parses, runs one verb and turns what ends it into an exit status. Verbs are imported when they run.
"""

from __future__ import annotations

import signal
import sys

from .grammar import HELP, parse
from .report import DONE, FAILED, Failure, broken_pipe, die, explain, note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

__all__ = ["HELP", "main"]


def _dispatch(options: Namespace) -> int:
    if options.verb == "connect":
        from .connect import run
    elif options.verb == "listen":
        from .serving import run
    elif options.verb == "bench":
        from .bench import run
    elif options.verb == "completion":
        from .completion import run
    elif options.verb == "decode":
        from .convert import run_decode as run
    elif options.verb == "encode":
        from .convert import run_encode as run
    elif options.verb == "demo":
        from .demo import run
    elif options.verb == "explain":
        from .learn import run_explain as run
    elif options.verb == "guess":
        from .learn import run_guess as run
    elif options.verb == "list":
        from .listing import run
    else:
        from .info import run
    return run(options)


def _guarded(argv: list[str]) -> int:
    color = "auto"
    try:
        options = parse(argv)
        color = options.color
        return _dispatch(options)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else DONE
    except Exception as error:
        if "--debug" in argv:
            import traceback

            note(*traceback.format_exc().splitlines(), choice=color)
        if isinstance(error, Failure):
            explain(error, color)
            return error.status
        if isinstance(error, OSError):
            place = "" if error.filename is None else f"{error.filename}: "
            note(f"{place}{error.strerror or error}", choice=color)
            return FAILED
        note(
            f"a fault of this program: {type(error).__name__}: {error}",
            "please report it with what --debug and `framewire info` show",
            choice=color,
        )
        return FAILED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv`, by default the process's own arguments, and return its exit status.

    No exception leaves it; Ctrl-C, and a reader of the output that went away, end the whole process by
    the signal. Not thread-safe: it owns standard input, output and error.

    >>> main(["decode"])
    2
    """
    try:
        status = _guarded(sys.argv[1:] if argv is None else list(argv))
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        broken_pipe()
    except KeyboardInterrupt:
        die(signal.SIGINT)
