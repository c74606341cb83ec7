"""Descriptors that are there already, or come from a device: inherited ones, and serial lines."""

from __future__ import annotations

import os
import socket

from .errors import DeclarationError

__all__ = ["inherited", "open_serial"]

_FIRST = 3  # the first descriptor that systemd passes on (sd_listen_fds(3))


def inherited(which: int | str) -> socket.socket | int:
    """The descriptor of that number, or that systemd passed under that name: a socket, or the number itself.

    DeclarationError if there is none of that name, naming those that are there; OSError if it is not open.
    """
    fd = which if isinstance(which, int) else _named(which)
    os.fstat(fd)
    os.set_inheritable(fd, False)
    try:
        return socket.socket(fileno=fd)
    except OSError:
        return fd


def _named(name: str) -> int:
    mine = os.environ.get("LISTEN_PID") == str(os.getpid())
    count = int(os.environ.get("LISTEN_FDS", "0")) if mine else 0
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")[:count] if mine else []
    if name not in names:
        there = ", ".join(map(repr, names)) or "none (LISTEN_FDNAMES, LISTEN_PID)"
        raise DeclarationError(
            f"address 'fd:{name}': no descriptor of that name was passed on; there are: {there}"
        )
    return _FIRST + names.index(name)


def open_serial(path: str, speed: int) -> int:
    """Open a serial line: raw, 8 data bits, no parity, 1 stop bit, no flow control, for us alone.

    DeclarationError for a speed (bits a second) that the system has no name for, OSError naming the path.
    """
    try:
        import termios
    except ImportError:
        raise DeclarationError(
            "serial: needs a POSIX system; elsewhere hand over an open socket, or frames to a decoder"
        ) from None
    rate = getattr(termios, f"B{speed}", None)
    if rate is None or speed <= 0:
        known = sorted(int(name[1:]) for name in dir(termios) if name[0] == "B" and name[1:].isdigit())
        raise DeclarationError(f"serial: no speed of {speed} bits a second here; there are {known[1:]}")
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        try:
            *_, controls = termios.tcgetattr(fd)
        except termios.error as error:
            raise OSError(error.args[0], f"{error.args[1]}: {path}") from None
        controls[termios.VMIN], controls[termios.VTIME] = 1, 0
        modes = termios.CS8 | termios.CREAD | termios.CLOCAL
        termios.tcsetattr(fd, termios.TCSANOW, [0, 0, modes, 0, rate, rate, controls])
        termios.tcflush(fd, termios.TCIOFLUSH)
        if hasattr(termios, "TIOCEXCL"):
            import fcntl

            fcntl.ioctl(fd, termios.TIOCEXCL)
    except BaseException:
        os.close(fd)
        raise
    return fd
