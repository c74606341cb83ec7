"""File transfer with a progress bar (with `pip install rich`; else a plain line of per cents).

    python examples/file_transfer.py receive ADDRESS FOLDER   # tcp://:9000 incoming: one file, then it ends
    python examples/file_transfer.py send FILE ADDRESS        # thesis.pdf tcp://example.org:9000

On the wire every message has a four-byte length: a header in JSON (name, size), the content in chunks, an
empty message, the SHA-256 of it all. The receiver answers the header with "go" and the hash with "ok", or at
either point with what is wrong. Neither side holds more than a chunk in memory, however large the file is.
"""

import hashlib
import json
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import framewire as fw

CHUNK = 256 * 1024
FRAMING = fw.LengthPrefixed(fw.u32, max_frame=CHUNK)  # a longer message is refused unread


class Refused(Exception):
    """What the receiver would not accept."""


def send(file, address):
    buffer = bytearray(CHUNK)
    digest = hashlib.sha256()
    with open(file, "rb", buffering=0) as source, fw.connect(address, FRAMING) as conn:
        conn.timeout = 60
        size = os.fstat(source.fileno()).st_size
        header = json.dumps({"name": os.path.basename(file), "size": size}).encode()
        expect(conn.request(header), b"go")
        with progress(file, size) as advance:
            while count := source.readinto(buffer):
                chunk = memoryview(buffer)[:count]
                digest.update(chunk)
                conn.send(chunk)
                advance(count)
        conn.send(b"")
        expect(conn.request(digest.digest()), b"ok")
    print(f"sent {file}, {size} bytes, SHA-256 {digest.hexdigest()}")


def expect(answer, wanted):
    if answer != wanted:
        raise Refused(f"the receiver says: {answer.decode('utf-8', 'replace')!r}")


def receive(address, folder):
    with fw.listen(address, FRAMING) as listener:
        print("listening on", listener.address, flush=True)
        conn = listener.accept()
    failure = None
    with conn:  # left without an exception, it lets the sender have our last word before it closes
        conn.timeout = 60
        try:
            store(conn, Path(folder))
        except (Refused, OSError) as error:
            failure = error
        if failure is None:
            conn.send(b"ok")
        else:  # our own troubles, with their paths, are not for strangers
            conn.send(str(failure).encode() if isinstance(failure, Refused) else b"the receiver has failed")
    if failure is not None:
        raise failure


def store(conn, folder):
    name, size = checked(conn.recv())
    if size > shutil.disk_usage(folder).free:
        raise Refused(f"no room for {size} bytes")
    target, part = folder / name, folder / (name + ".part")
    if target.exists():
        raise Refused(f"there is a {name} already")
    buffer = bytearray(CHUNK)
    digest, total = hashlib.sha256(), 0
    with part.open("xb") as file:  # never over what is there
        try:
            conn.send(b"go")
            with progress(name, size) as advance:
                while count := conn.recv_into(buffer):
                    chunk = memoryview(buffer)[:count]
                    total += count
                    if total > size:
                        raise Refused(f"more than the {size} bytes that were announced")
                    digest.update(chunk)
                    file.write(chunk)
                    advance(count)
            if total != size:
                raise Refused(f"{total} bytes came of {size}")
            if conn.recv() != digest.digest():
                raise Refused("the SHA-256 is another one")
            file.close()
            part.rename(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    print(f"received {target}, {size} bytes, SHA-256 {digest.hexdigest()}")


def checked(header):
    """The (name, size) of a header that a stranger sent."""
    try:
        header = json.loads(header)
        name, size = header["name"], header["size"]
    except (ValueError, TypeError, KeyError):
        raise Refused("this is no header") from None
    if not isinstance(size, int) or size < 0:
        raise Refused(f"no file has {size!r} bytes")
    # A plain name, in this folder, that neither hides nor means something to a terminal.
    if not isinstance(name, str) or name.startswith(".") or set(name) & set("/\\:") or not name.isprintable():
        raise Refused(f"the name {name!r} is refused")
    if not 0 < len(os.fsencode(name)) <= 200:
        raise Refused("the name is empty or too long")
    return name, size


@contextmanager
def progress(label, size):
    """A function that is told how many bytes more there are."""
    try:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
    except ImportError:
        yield PlainLine(label, size).advance
        print(file=sys.stderr)
    else:
        columns = BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
        with Progress("{task.description}", *columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(escape(label), total=size)
            yield lambda count: bar.advance(task, count)


class PlainLine:
    def __init__(self, label, size):
        self.label, self.size, self.done, self.shown = label, size, 0, None

    def advance(self, count):
        self.done += count
        percent = 100 * self.done // self.size if self.size else 100
        if percent != self.shown:
            self.shown = percent
            print(f"\r{self.label} {percent} %", end="", file=sys.stderr, flush=True)


def main(arguments):
    verbs = {"send": send, "receive": receive}
    if len(arguments) != 3 or arguments[0] not in verbs:
        return __doc__
    try:
        verbs[arguments[0]](*arguments[1:])
    except (Refused, fw.FramewireError, OSError) as error:
        return f"file_transfer: {error}"
    except KeyboardInterrupt:
        return "interrupted"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
