"""`framewire connect`: a netcat that knows where messages end."""

from __future__ import annotations

from .convert import cut_for
from .live import Live
from .network import Place, dial, framings_of
from .report import Output, die
from .session import Signalled, caught, source_for, talk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["run"]


def run(options: Namespace) -> int:
    """Connect and talk; the exit status."""
    framing, send_framing = framings_of(options, server=False)
    # A connection over standard output takes that away.
    live = None if options.address == "-" else Live(Output(options.color), options, framing)
    source = source_for(options)
    with caught():
        try:
            conn = dial(options, cut_for(options.output, framing), send_framing or framing)
            live = live or Live(Output(options.color), options, framing)
            return talk(conn, Place(1), framing, live, source, options)
        except Signalled as stop:
            die(stop.number)
