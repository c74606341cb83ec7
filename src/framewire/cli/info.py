"""`framewire info`: what to paste into a bug report."""

from __future__ import annotations

import os
import platform
import socket
import sys

from .. import _backend
from .._version import __version__
from .report import DONE, Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["run"]


def _native() -> str:
    try:
        return f"loaded, {_backend.load('native').codec.__file__}"
    except ImportError as error:
        return f"not there: {error}"


def _backend_line() -> str:
    wanted = os.environ.get("FRAMEWIRE_BACKEND")
    if not wanted:
        return f"{_backend.name} (FRAMEWIRE_BACKEND is not set: native where it is built)"
    return f"{_backend.name} (FRAMEWIRE_BACKEND={wanted})"


def run(options: Namespace) -> int:
    """Print the facts, one a line."""
    switches = ("AF_UNIX", "MSG_DONTWAIT", "MSG_NOSIGNAL", "SO_REUSEPORT", "TCP_USER_TIMEOUT")
    free = getattr(sys, "_is_gil_enabled", lambda: True)
    facts = {
        "framewire": __version__,
        "backend": _backend_line(),
        "extension": _native(),
        "python": f"{platform.python_implementation()} {platform.python_version()}"
        + ("" if free() else ", free-threaded"),
        "compiler": f"{platform.python_compiler()} (of Python)",
        "executable": sys.executable,
        "platform": f"{platform.platform()}, {sys.byteorder}-endian, {sys.maxsize.bit_length() + 1} bits",
        "sockets": " ".join(name for name in switches if hasattr(socket, name)),
    }
    output = Output(options.color)
    for name, value in facts.items():
        output.line(f"{name:<11} {value}")
    return DONE
