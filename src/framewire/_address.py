"""Addresses: what a user writes for one end of a stream, and the plain socket that it stands for.

`parse` says what an address means; `show` is its inverse for what `getsockname` gives. A host that is
missing ("tcp://:9000") is every interface of both families where one listens, and this machine where one
connects, so what `show` says of a listener can be connected to. `dial`, `begin` and `bind` make the
connected, connecting or listening socket. What is no socket address ("fd:3", "exec:pylsp") is taken apart
here and opened elsewhere.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import stat
from time import monotonic, sleep

from .errors import DeclarationError, Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Parsed: TypeAlias = tuple[str, Any, int | None]

__all__ = ["begin", "bind", "dial", "parse", "show", "socket_file"]

_BACKLOG = 4096  # the kernel cuts it to its own limit
_ATTEMPT_DELAY = 0.25  # seconds between two attempts to connect (RFC 8305, section 5)
_CONNECTING = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY}
_SUPPORTED = (
    "'tcp://host:port', 'tls://host:port', 'unix:path', 'unix:@abstract', (host, port) or an open socket"
)
_OTHERS = "'fd:3', 'exec:COMMAND', 'stdio:', 'serial:PATH,SPEED'"


def parse(address: object) -> Parsed:
    """("tcp" or "tls", host, port); ("unix", path, None), where an abstract path starts with "\\0"; ("fd",
    number or name, None); ("exec", words, None); ("stdio", "", None); ("serial", path, bits a second).

    DeclarationError says what is wrong with `address` and what would do; TypeError for a type that is none.

    >>> parse("tcp://[::1]:9000"), parse("unix:/run/x.sock")
    (('tcp', '::1', 9000), ('unix', '/run/x.sock', None))
    """
    if isinstance(address, tuple):
        if len(address) != 2 or not isinstance(address[0], str):
            raise DeclarationError(f"address {address!r}: a tuple must be (host, port)")
        return "tcp", address[0], _port(address, address[1])
    if not isinstance(address, str):
        raise TypeError(f"an address is a string, (host, port) or a socket, not {type(address).__name__}")
    if "\0" in address:
        raise DeclarationError(f"address {address!r}: a zero byte; an abstract name is written 'unix:@name'")
    if address.startswith("unix:"):
        return "unix", _path(address), None
    if address.startswith(("tcp://", "tls://")):
        host, colon, port = address[6:].rpartition(":")
        if not colon:
            raise DeclarationError(f"address {address!r}: the port is missing")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
            if not host:
                raise DeclarationError(f"address {address!r}: nothing stands in the brackets")
        elif ":" in host or "[" in host or "]" in host:
            raise DeclarationError(
                f"address {address!r}: an IPv6 host stands in brackets, '{address[:6]}[::1]:9000'"
            )
        elif "/" in host or "@" in host:
            raise DeclarationError(f"address {address!r}: wanted is {address[:6]}host:port and nothing more")
        if not (port.isascii() and port.isdigit() and len(port) <= 5):
            raise DeclarationError(f"address {address!r}: the port {port!r} must be a number from 0 to 65535")
        return address[:3], host, _port(address, int(port))
    scheme, colon, rest = address.partition(":")
    if colon and scheme in _SCHEMES:
        return scheme, *_SCHEMES[scheme](address, rest)
    hint = f"; did you mean 'tcp://{address}'?" if address.rpartition(":")[2].isdigit() else ""
    raise DeclarationError(f"address {address!r}: wanted {_SUPPORTED}, or {_OTHERS}{hint}")


def _fd(address: str, rest: str) -> tuple[int | str, None]:
    if not rest:
        raise DeclarationError(
            f"address {address!r}: the descriptor is missing, a number or a name of systemd's"
        )
    return int(rest) if rest.isascii() and rest.isdigit() else rest, None


def _exec(address: str, rest: str) -> tuple[tuple[str, ...], None]:
    from shlex import split

    try:
        words = tuple(split(rest))
    except ValueError as error:
        raise DeclarationError(f"address {address!r}: {error}") from None
    if not words:
        raise DeclarationError(f"address {address!r}: the command is missing")
    return words, None


def _stdio(address: str, rest: str) -> tuple[str, None]:
    if rest:
        raise DeclarationError(f"address {address!r}: nothing follows 'stdio:'")
    return "", None


def _serial(address: str, rest: str) -> tuple[str, int]:
    path, comma, speed = rest.partition(",")
    if not path:
        raise DeclarationError(
            f"address {address!r}: the path is missing, as in 'serial:/dev/ttyUSB0,115200'"
        )
    if comma and not (speed.isascii() and speed.isdigit()):
        raise DeclarationError(f"address {address!r}: the speed {speed!r} must be a number of bits a second")
    return path, int(speed) if comma else 9600


_SCHEMES: dict[str, Any] = {"fd": _fd, "exec": _exec, "stdio": _stdio, "serial": _serial}


def _port(address: object, port: object) -> int:
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535:
        raise DeclarationError(f"address {address!r}: the port {port!r} must be a number from 0 to 65535")
    return port


def _path(address: str) -> str:
    path = address[5:]
    if path in ("", "@"):
        raise DeclarationError(f"address {address!r}: the path is missing")
    if not hasattr(socket, "AF_UNIX"):
        raise DeclarationError(
            f"address {address!r}: this platform has no Unix sockets; use 'tcp://host:port'"
        )
    return "\0" + path[1:] if path.startswith("@") else path


def show(family: int, sockaddr: Any) -> str:
    """The address string for what `getsockname` or `getpeername` gave; "unix:" for an unnamed Unix end.

    >>> show(socket.AF_INET6, ("::1", 9000, 0, 0)), show(socket.AF_INET6, ("::", 9000, 0, 0))
    ('tcp://[::1]:9000', 'tcp://:9000')
    """
    if family in (socket.AF_INET, socket.AF_INET6):
        host, port = sockaddr[:2]
        if host == "::":
            host = ""
        return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
    name = os.fsdecode(sockaddr)
    return "unix:@" + name[1:] if name.startswith("\0") else "unix:" + name


# --- sockets -------------------------------------------------------------------------------------------


def _named(error: OSError, address: object) -> OSError:
    """The same error of the system, naming the address."""
    cls = socket.gaierror if isinstance(error, socket.gaierror) else OSError
    shown = address if isinstance(address, str) else show(socket.AF_INET6, address)
    return cls(error.errno, f"{error.strerror or error}: {shown}")


def _resolved(address: object, host: str, port: int | None) -> list[tuple[int, Any]]:
    # As bytes it does not go through the idna codec, which takes 2 ms to load; that judges names only.
    name: str | bytes | None = host or None
    if host.isascii() and (":" in host or host.replace(".", "").isdigit()):
        name = host.encode("ascii")
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise DeclarationError(f"address {address!r}: {host!r} cannot be a host name: {error}") from None
    if not found:
        raise OSError(errno.EADDRNOTAVAIL, "the name has no address")
    return [(family, to) for family, _, _, _, to in found]


def dial(address: object, timeout: float | None) -> socket.socket:
    """A socket connected to `address`, within `timeout` seconds (None: as long as the system tries).

    A host's addresses are raced: each 250 ms, or when one has failed, another attempt starts, families in
    turn, and the first to connect wins (RFC 8305). Timeout(phase="connect"), DeclarationError, or the
    system's OSError naming the address and, if there were several, what became of each.
    """
    kind, where, port = parse(address)
    if port == 0:
        raise DeclarationError(f"address {address!r}: port 0 cannot be connected to")
    deadline = None if timeout is None else monotonic() + timeout
    try:
        if kind == "unix":
            return _connected_unix(where, deadline)
        return _raced(_in_turn(_resolved(address, where, port)), deadline)
    except Timeout:
        raise Timeout(f"no connection to {address} within {timeout} s", phase="connect") from None
    except OSError as error:
        raise _named(error, address) from None


def begin(address: object) -> socket.socket:
    """A socket that is connecting to `address`, which is numeric: nothing is looked up and nothing waits.

    DeclarationError for a host name, BlockingIOError if a Unix listener's queue is full, OSError naming the
    address for what fails at once.
    """
    kind, where, port = parse(address)
    if kind == "unix":
        family, to = socket.AF_UNIX, where
    else:
        try:
            found = socket.getaddrinfo(
                where or None, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        except (socket.gaierror, UnicodeError):
            raise DeclarationError(
                f"address {address!r}: without waiting (timeout=0) the host must be numeric, not a name"
            ) from None
        family, to = found[0][0], found[0][4]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        number = sock.connect_ex(to)
        if number == errno.EAGAIN and kind == "unix":
            raise BlockingIOError(number, f"the queue of {address} is full")
        if number and number not in _CONNECTING:
            raise _named(OSError(number, os.strerror(number)), address)
    except BaseException:
        sock.close()
        raise
    return sock


def _in_turn(targets: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """The resolver's order, but families alternate."""
    first = [target for target in targets if target[0] == targets[0][0]]
    second = [target for target in targets if target[0] != targets[0][0]]
    longer = max(len(first), len(second))
    return [target for at in range(longer) for target in first[at : at + 1] + second[at : at + 1]]


def _raced(targets: list[tuple[int, Any]], deadline: float | None) -> socket.socket:
    """The first of several attempts that succeeds."""
    failures: list[tuple[Any, OSError]] = []
    running: dict[socket.socket, Any] = {}
    waiting = targets[::-1]
    start_next = monotonic()
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or running:
                now = monotonic()
                if deadline is not None and now >= deadline:
                    raise Timeout(phase="connect")
                if waiting and (now >= start_next or not running):
                    family, to = waiting.pop()
                    start_next = now + _ATTEMPT_DELAY
                    try:
                        sock = socket.socket(family, socket.SOCK_STREAM)
                    except OSError as error:
                        failures.append((to, error))
                        continue
                    running[sock] = to
                    sock.setblocking(False)
                    number = sock.connect_ex(to)
                    if number in _CONNECTING:
                        selector.register(sock, selectors.EVENT_WRITE, sock)
                        continue
                    done = [sock]
                else:
                    ends = [end for end in (deadline, start_next if waiting else None) if end is not None]
                    wait = max(0.0, min(ends) - now) if ends else None
                    done = [key.data for key, _ in selector.select(wait)]
                    number = -1
                for sock in done:
                    if number < 0:
                        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                        selector.unregister(sock)
                    to = running.pop(sock)
                    if not number:
                        return sock
                    sock.close()
                    failures.append((to, OSError(number, os.strerror(number))))
                    start_next = now
                    number = -1
        finally:
            for sock in running:
                sock.close()
    raise _told(failures)


def _told(failures: list[tuple[Any, OSError]]) -> OSError:
    """One error for all attempts: the one that says most, since "unreachable" is mostly the lack of IPv6."""
    vague = (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    telling = [error for _, error in failures if error.errno not in vague] or [failures[0][1]]
    text = telling[0].strerror
    if len(failures) > 1:
        each = ", ".join(f"{show(socket.AF_INET6, to)[6:]}: {error.strerror}" for to, error in failures)
        text = f"{text} (tried {each})"
    return OSError(telling[0].errno, text)


def _connected_unix(path: str, deadline: float | None) -> socket.socket:
    while True:
        left = None if deadline is None else deadline - monotonic()
        if left is not None and left <= 0:
            raise Timeout(phase="connect")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(left)
            sock.connect(path)
            return sock
        except BlockingIOError:
            # The listener's queue is full, and there is nothing that could be polled for.
            sock.close()
            sleep(0.01)
        except BaseException as error:
            sock.close()
            # The kernel's own giving up has a number, ours has none.
            if isinstance(error, TimeoutError) and error.errno is None:
                raise Timeout(phase="connect") from None
            raise


def bind(address: object, backlog: int = _BACKLOG, shared: bool = False) -> tuple[socket.socket, str | None]:
    """A socket that listens at `address`, and the path of its file if it has one; `shared`: others may listen
    at the same port (SO_REUSEPORT), and the kernel deals connections out.

    A Unix socket's file whose server is gone is replaced; if one answers, or it is no socket, that is
    OSError(EADDRINUSE). DeclarationError, or the system's OSError naming the address.
    """
    kind, where, port = parse(address)
    try:
        if kind == "unix":
            return _bind_unix(where, backlog), None if where.startswith("\0") else where
        return _bind_tcp(address, where, port or 0, backlog, shared), None
    except OSError as error:
        raise _named(error, address) from None


def _bind_tcp(address: object, host: str, port: int, backlog: int, shared: bool) -> socket.socket:
    def server(to: Any, **options: Any) -> socket.socket:
        return socket.create_server(to, backlog=backlog, reuse_port=shared, **options)

    if not host:
        if socket.has_dualstack_ipv6():
            try:
                return server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
            except OSError as error:
                # Built with IPv6, but switched off in this kernel or network namespace.
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
        return server(("", port))
    failure: OSError | None = None
    for family, to in _resolved(address, host, port):
        try:
            return server(to, family=family)
        except OSError as error:
            failure = error
    assert failure is not None
    raise failure


def _bind_unix(path: str, backlog: int) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            sock.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or path.startswith("\0"):
                raise
            found = socket_file(path)
            # Between these two looks another server may have put its own socket there.
            if found is None or _answers(path) or found != socket_file(path):
                raise
            os.unlink(path)
            sock.bind(path)
        sock.listen(backlog)
        return sock
    except BaseException:
        sock.close()
        raise


def _answers(path: str) -> bool:
    """Whether a server holds the Unix socket `path`: only a refusal says that nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:
            pass
    return True


def socket_file(path: str) -> tuple[int, int] | None:
    """Which file `path` names (device, inode), if that is a socket."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISSOCK(found.st_mode) else None
