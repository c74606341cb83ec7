"""`framewire completion`: what a shell needs to complete this command line, made by shtab."""

from __future__ import annotations

from .grammar import whole
from .report import DONE, USAGE, Failure, Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["run"]


def run(options: Namespace) -> int:
    """Print the script for `options.shell`; the exit status."""
    try:
        import shtab
    except ImportError:
        raise Failure(
            USAGE, "completion needs shtab, which is not installed", "pip install 'framewire[cli]'"
        ) from None
    if options.shell not in shtab.SUPPORTED_SHELLS:
        known = ", ".join(shtab.SUPPORTED_SHELLS)
        raise Failure(USAGE, f"shell {options.shell!r} is not known: choose one of {known}")
    script = shtab.complete(whole(), shell=options.shell)
    Output(options.color).write(script.encode("utf-8") + b"\n")
    return DONE
