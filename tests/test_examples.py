"""The examples, run as a user would: programs with pipes and terminals, and sockets between them."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import queue
import re
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import trustme
from conftest import named

import framewire as fw
from framewire import _backend

EXAMPLES = Path(__file__).parent.parent / "examples"
PACKAGE = Path(fw.__file__).parent.parent
PATIENCE = 60  # seconds: only a program that hangs takes so long
# Runs a program whose data may not be larger than 40 MiB, whatever the size of its input.
SMALL = (
    "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_DATA, (40 << 20, 40 << 20)); "
    "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes in select, Unix sockets, terminals")


class Program:
    """An example that runs: its lines as they come, and what it says of errors at the end."""

    def __init__(self, argv: list[str], env: dict[str, str], stdin: int) -> None:
        self.process = subprocess.Popen(
            argv, env=env, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._errors: list[str] = []
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._listen)]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self._errors += self.process.stderr

    def line(self) -> str:
        line = self._lines.get(timeout=PATIENCE)
        assert line is not None, f"it has ended: {self.finish()}"
        return line

    def address(self) -> str:
        return self.line().removeprefix("listening on ")

    def say(self, *lines: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("".join(line + "\n" for line in lines))
        self.process.stdin.flush()

    def finish(self) -> tuple[int, list[str], str]:
        """Exit status, the rest of the lines, and standard error, when it has ended by itself."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        status = self.process.wait(PATIENCE)
        for thread in self._threads:
            thread.join(PATIENCE)
        lines = [line for line in self._lines.queue if line is not None]
        return status, lines, "".join(self._errors)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.finish()
        assert self.process.stdout is not None and self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def start(backend: _backend.Backend) -> Iterator[Callable[..., Program]]:
    """Starts examples on the backend under test, and ends them."""
    programs: list[Program] = []

    def start(
        example: str,
        *arguments: str | Path,
        stdin: int = subprocess.PIPE,
        first: str = "",
        small: bool = False,
    ) -> Program:
        path = os.pathsep.join(filter(None, [first, str(PACKAGE)]))
        env = {
            **os.environ,
            "PYTHONPATH": path,
            "FRAMEWIRE_BACKEND": backend.name,
            "PYTHONIOENCODING": "utf-8",
        }
        # Nothing that an example opens may be left to the garbage collector.
        argv = [sys.executable, "-W", "error", *(["-c", SMALL] if small else []), str(EXAMPLES / example)]
        programs.append(Program([*argv, *map(str, arguments)], env, stdin))
        return programs[-1]

    try:
        yield start
    finally:
        for program in programs:
            program.end()


Start = Callable[..., Program]


def test_every_example_says_how_to_run_it() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*examples.py"))
    for path in EXAMPLES.glob("*.py"):
        assert f"\n    python examples/{path.name}" in path.read_text(), path.name
        assert path.stem in tests, f"no test runs {path.name}"


def test_the_code_of_the_howto_is_code() -> None:
    """What has no `>>>`, and so is not run with the doctests, can at least be compiled."""
    page = (EXAMPLES.parent / "docs/howto.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    theirs = [block for block in blocks if ">>>" not in block]
    assert len(theirs) == 6 and len(blocks) > 15
    for block in theirs:
        compile(block, "howto.md", "exec")
    for name in re.findall(r"\(\.\./(\S+?)\)", page):
        assert (EXAMPLES.parent / name).exists(), name


# --- echo, request and reply, the select loop ---------------------------------------------------------


def test_echo(start: Start, tmp_path: Path) -> None:
    server = start("echo.py", f"unix:{tmp_path}/echo.sock")
    address = server.address()
    assert start("echo.py", address, "hello", "world").finish() == (0, ["HELLO", "WORLD"], "")
    assert start("echo.py", address, "again").finish() == (0, ["AGAIN"], "")


def test_request_reply(start: Start) -> None:
    status, lines, errors = start("request_reply.py").finish()
    assert (status, errors) == (0, "")
    assert re.fullmatch(r"Timeout: no whole message came from tcp://127.0.0.1:\d+ within 0.1 s", lines.pop(3))
    assert lines == [
        "Reading(sensor='attic', celsius=31.5)",
        "Reading(sensor='cellar', celsius=11.25)",
        "Failure(reason='there is no sensor pool')",
        "late: Reading(sensor='roof', celsius=38.0)",
        "Failure(reason='a Reading is no request')",
    ]


def test_select_loop(start: Start) -> None:
    status, lines, errors = start("select_loop.py").finish()
    assert (status, errors) == (0, "")
    assert lines.count("ended: a server") == 3
    for name in ("client a", "client b", "client c"):
        mine = [line for line in lines if name in line]
        assert mine == [f"{name} ONE 3", f"{name} TWO 3", f"{name} THREE 500000", f"ended: {name}"]


# --- servers -----------------------------------------------------------------------------------------


def dial(address: str) -> fw.MessageSocket[bytes]:
    """Workers that have just begun may not listen yet."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return fw.connect(address, fw.Lines())
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.parametrize("mode", ["threads", "selector", "processes"])
def test_three_servers(start: Start, mode: str) -> None:
    server = start("three_servers.py", mode, "tcp://127.0.0.1:0")
    address = server.address()
    with dial(address) as conn:
        for index in (1, 2):
            reply = conn.request(b"hello", timeout=PATIENCE).decode()
            assert re.fullmatch(rf"tcp://127.0.0.1:\d+ line {index} process \d+: hello", reply)
    server.process.terminate()
    assert server.finish() == (0, [], "")


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs haproxy")
@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
def test_behind_haproxy(start: Start, version: str, tmp_path: Path) -> None:
    server = start("three_servers.py", "processes", "tcp://127.0.0.1:0", "--proxy")
    target = server.address().removeprefix("tcp://")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "haproxy.cfg").write_text(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n retries 20\n"
        f"listen lines\n bind 127.0.0.1:{port}\n server one {target} {version}\n"
    )
    proxy = subprocess.Popen(["haproxy", "-db", "-q", "-f", str(tmp_path / "haproxy.cfg")])
    try:
        with dial(f"tcp://127.0.0.1:{port}") as conn:
            reply = conn.request(b"hello", timeout=PATIENCE).decode()
            assert reply.startswith(f"{conn.local_address} line 1 process ")
    finally:
        proxy.kill()
        proxy.wait()


def test_tls(start: Start, tmp_path: Path) -> None:
    trusted, other = trustme.CA(), trustme.CA()
    trusted.cert_pem.write_to_path(tmp_path / "ca.pem")
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    own = trusted.issue_cert("localhost")
    own.private_key_pem.write_to_path(tmp_path / "server.key")
    for part in own.cert_chain_pems:
        part.write_to_path(tmp_path / "server.pem", append=True)
    server = start("tls.py", "serve", "tls://127.0.0.1:0", tmp_path / "server.pem", tmp_path / "server.key")
    server_address = server.address()
    address = server_address.replace("127.0.0.1", "localhost")
    status, lines, errors = start("tls.py", "ask", address, tmp_path / "ca.pem", "hello", "world").finish()
    assert (status, errors) == (0, "")
    assert lines == [f"TLSv1.3 with {server_address}", "HELLO", "WORLD"]
    status, lines, errors = start("tls.py", "ask", address, tmp_path / "other.pem", "hello").finish()
    assert (status, lines) == (1, []) and "certificate" in errors
    server.process.terminate()
    assert server.finish()[0] == 0


def test_syslog_collector(start: Start) -> None:
    collector = start("syslog_collector.py", "tcp://127.0.0.1:0")
    address = collector.address()
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    with socket.create_connection((host, int(port))) as sender:
        name = "tcp://{}:{}".format(*sender.getsockname())
        sender.sendall(b"<34>by lines\n17 <13>counted\nlines<165>again \x1b[31mred\n")
        got = [collector.line() for _ in range(3)]
    assert got == [
        f"{name} crit by lines",
        f"{name} notice counted\\nlines",
        f"{name} notice again \\x1b[31mred",
    ]
    collector.process.terminate()
    assert collector.finish() == (0, [], "")


# --- the chat -----------------------------------------------------------------------------------------


def test_chat(start: Start) -> None:
    server = start("chat_server.py", "tcp://127.0.0.1:0")
    address = server.address()
    ada = start("chat_client.py", address, "Ada")
    assert server.line() == "* Ada is here"
    bob = start("chat_client.py", address, "Bob")
    assert server.line() == ada.line() == "* Bob is here"
    bob.say("hello, Ada")
    assert ada.line() == server.line() == "Bob: hello, Ada"
    ada.say("hello, Bob", "", "grüß dich \x1b[2J")
    assert [bob.line() for _ in range(3)] == ["Ada: hello, Bob", "Ada: ", "Ada: grüß dich ?[2J"]
    assert bob.finish() == (0, [], "")
    assert ada.line() == "* Bob has left"
    ada.say("x" * 5000, "alone")
    status, lines, errors = ada.finish()
    assert (status, lines) == (0, []) and "4096" in errors, "a line too long for the server is not sent"
    assert [server.line() for _ in range(6)][-3:] == ["* Bob has left", "Ada: alone", "* Ada has left"]


def test_chat_reads_what_a_pipe_or_a_file_says(start: Start, tmp_path: Path) -> None:
    server = start("chat_server.py", f"unix:{tmp_path}/chat.sock")
    address = server.address()
    speech = tmp_path / "speech.txt"
    speech.write_text("friends,\nromans,\ncountrymen", encoding="utf-8")  # the last line is no whole one
    with speech.open() as file:
        assert start("chat_client.py", address, "Antony", stdin=file.fileno()).finish() == (0, [], "")
    said = ["Antony: friends,", "Antony: romans,", "Antony: countrymen"]
    assert [server.line() for _ in range(5)] == ["* Antony is here", *said, "* Antony has left"]


def test_chat_on_a_terminal(start: Start) -> None:
    server = start("chat_server.py", "tcp://127.0.0.1:0")
    address = server.address()
    keyboard, terminal = os.openpty()
    try:
        ada = start("chat_client.py", address, "Ada", stdin=terminal)
        assert server.line() == "* Ada is here"
        os.write(keyboard, b"typed\n")
        assert server.line() == "Ada: typed"
        os.write(keyboard, b"\x04")
        assert ada.finish() == (0, [], "")
        assert server.line() == "* Ada has left"
    finally:
        os.close(terminal)
        os.close(keyboard)


def test_nobody_holds_up_the_chat(start: Start, tmp_path: Path) -> None:
    server = start("chat_server.py", f"unix:{tmp_path}/chat.sock")  # such a socket buffers less than TCP
    address = server.address()
    with fw.connect(address, fw.Lines()) as talker, fw.connect(address, fw.Lines()) as sleeper:
        sleeper.send(b"sleeper")
        assert server.line() == "* sleeper is here"
        with fw.connect(address, fw.Lines()) as long:
            long.send(b"long")
            assert server.line() == "* long is here"
            long.send(b"x" * 4097)
            assert server.line().startswith("* long has left (frame too large: ")
        with socket.socket(socket.AF_UNIX) as half:
            half.connect(address.removeprefix("unix:"))
            half.sendall(b"half a na")
        talker.send(b"talker")
        assert server.line() == "* talker is here"
        talker.send_many([b"x" * 4000] * 600)
        while (line := server.line()).startswith("talker: "):
            pass
        assert line == "* sleeper has left (does not read)"
        assert talker.recv(timeout=PATIENCE) == line.encode()
    assert server.process.poll() is None


def test_chat_client_says_that_the_server_has_ended(start: Start) -> None:
    with fw.listen("tcp://127.0.0.1:0", fw.Lines()) as listener:
        client = start("chat_client.py", listener.address, "Ada")
        with listener.accept(timeout=PATIENCE) as conn:
            assert conn.recv(timeout=PATIENCE) == b"Ada"
            conn.shutdown_write()
            assert client.process.wait(PATIENCE) == 1
        address = listener.address
    assert client.finish() == (1, [], "the server has ended\n")
    status, _, errors = start("chat_client.py", address, "Ada").finish()
    assert status == 1 and errors.startswith("chat: ") and address in errors


# --- file transfer ------------------------------------------------------------------------------------

FILES = fw.LengthPrefixed(fw.u32, max_frame=1 << 18)


@pytest.mark.parametrize("size", [0, 700_001])
def test_file_transfer(size: int, start: Start, tmp_path: Path) -> None:
    source, folder = tmp_path / "a [bold]name", tmp_path / "folder"
    source.write_bytes(os.urandom(size))
    folder.mkdir()
    receiver = start("file_transfer.py", "receive", "tcp://127.0.0.1:0", folder)
    sender = start("file_transfer.py", "send", source, receiver.address())
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    status, lines, bar = sender.finish()
    assert (status, lines) == (0, [f"sent {source}, {size} bytes, SHA-256 {digest}"]), bar
    status, lines, bar = receiver.finish()
    assert (status, lines) == (0, [f"received {folder / source.name}, {size} bytes, SHA-256 {digest}"]), bar
    if importlib.util.find_spec("rich"):
        assert "a [bold]name" in bar.replace("\n", "")
    assert [path.name for path in folder.iterdir()] == [source.name]
    assert (folder / source.name).read_bytes() == source.read_bytes()


def test_file_transfer_without_rich(start: Start, tmp_path: Path) -> None:
    source, folder, hidden = tmp_path / "name", tmp_path / "folder", tmp_path / "hidden"
    source.write_bytes(os.urandom(1_000_000))
    folder.mkdir()
    hidden.mkdir()
    (hidden / "rich.py").write_text("raise ImportError('hidden')")
    receiver = start("file_transfer.py", "receive", "tcp://127.0.0.1:0", folder, first=str(hidden))
    sender = start("file_transfer.py", "send", source, receiver.address(), first=str(hidden))
    for program, label in ((sender, str(source)), (receiver, "name")):
        status, _, line = program.finish()
        assert (status, line.splitlines()[-1]) == (0, f"{label} 100 %")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA means something else")
def test_file_transfer_of_a_file_larger_than_memory(start: Start, tmp_path: Path) -> None:
    source, folder = tmp_path / "large", tmp_path / "folder"
    with source.open("wb") as file:
        file.truncate(48 << 20)
    folder.mkdir()
    receiver = start("file_transfer.py", "receive", f"unix:{tmp_path}/sock", folder, small=True)
    sender = start("file_transfer.py", "send", source, receiver.address(), small=True)
    assert sender.finish()[0] == receiver.finish()[0] == 0
    assert (folder / "large").stat().st_size == 48 << 20


@pytest.fixture(scope="module")
def file_transfer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("file_transfer", EXAMPLES / "file_transfer.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("header", "content", "why"),
    [
        *(({"name": name, "size": 1}, [], "the name ") for name in ("../evil", "/etc/evil", "..", "", "a/b")),
        *(({"name": name, "size": 1}, [], "the name ") for name in (".bashrc", "x\\y", "\x1b[2J", "nul\0")),
        *(({"name": name, "size": 1}, [], "the name ") for name in ("x" * 300, None, 7)),
        *(({"name": "fine", "size": size}, [], "no file has ") for size in (-1, None, 1.5)),
        ({"name": "fine", "size": 1 << 80}, [], "no room for "),
        ({"name": "fine"}, [], "this is no header"),
        ("fine", [], "this is no header"),
        ({"name": "there", "size": 1}, [], "there is a there already"),
        ({"name": "fine", "size": 5}, [b"12345", b"", b"?" * 32], "the SHA-256 is another one"),
        ({"name": "fine", "size": 5}, [b"123", b"456", b""], "more than the 5 bytes that were announced"),
        ({"name": "fine", "size": 5}, [b"123", b""], "3 bytes came of 5"),
    ],
    ids=named,
)
def test_file_transfer_refuses(
    header: object, content: list[bytes], why: str, file_transfer: ModuleType, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "there").write_bytes(b"before")
    ours, his = fw.socketpair(FILES)
    his.send_many([json.dumps(header).encode(), *content])
    with pytest.raises(file_transfer.Refused, match=why):
        file_transfer.store(ours, folder)
    his.close(timeout=0)
    ours.close()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "there"]
    assert (folder / "there").read_bytes() == b"before"


def test_file_transfer_has_the_last_word(start: Start, tmp_path: Path) -> None:
    receiver = start("file_transfer.py", "receive", "tcp://127.0.0.1:0", tmp_path)
    with fw.connect(receiver.address(), FILES) as conn:
        assert conn.request(b'{"name": "x", "size": 5}', timeout=PATIENCE) == b"go"
        conn.send_many([b"more than", b"that"] * 1000)  # unread when the receiver has had enough
        assert conn.recv(timeout=PATIENCE) == b"more than the 5 bytes that were announced"
    status, lines, errors = receiver.finish()
    assert (status, lines) == (1, []) and errors.endswith("more than the 5 bytes that were announced\n")
    assert list(tmp_path.iterdir()) == []


def test_file_transfer_tells_the_sender_of_a_refusal(start: Start, tmp_path: Path) -> None:
    source, folder = tmp_path / ".hidden", tmp_path / "folder"
    source.write_bytes(b"content")
    folder.mkdir()
    receiver = start("file_transfer.py", "receive", "tcp://127.0.0.1:0", folder)
    sender = start("file_transfer.py", "send", source, receiver.address())
    status, lines, errors = sender.finish()
    assert (status, lines) == (1, [])
    assert errors == "file_transfer: the receiver says: \"the name '.hidden' is refused\"\n"
    assert receiver.finish() == (1, [], "file_transfer: the name '.hidden' is refused\n")
    assert list(folder.iterdir()) == []


def test_file_transfer_leaves_nothing_of_half_a_file(start: Start, tmp_path: Path) -> None:
    receiver = start("file_transfer.py", "receive", "tcp://127.0.0.1:0", tmp_path)
    conn = fw.connect(receiver.address(), FILES)
    assert conn.request(b'{"name": "x", "size": 5}', timeout=PATIENCE) == b"go"
    conn.send(b"12")
    conn.abort()
    status, lines, errors = receiver.finish()
    assert (status, lines) == (1, []) and "file_transfer: " in errors
    assert list(tmp_path.iterdir()) == []


# --- other streams ------------------------------------------------------------------------------------


@pytest.mark.skipif(not importlib.util.find_spec("pylsp"), reason="python-lsp-server is not installed")
def test_lsp_client(start: Start, tmp_path: Path) -> None:
    source = tmp_path / "small.py"
    source.write_text("class Point:\n    def length(self):\n        return 0\n\n\ndef main():\n    pass\n")
    client = start("lsp_client.py", source, sys.executable, "-m", "pylsp")
    status, lines, errors = client.finish()
    assert status == 0, errors
    assert lines[0] == "server: pylsp" and lines[-1] == "exit status: 0"
    outline = {tuple(line.split()) for line in lines[1:-1]}
    assert {("1", "class", "Point"), ("2", "method", "length"), ("6", "function", "main")} <= outline


def test_frames_from_a_file(start: Start, tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    capture.write_bytes(fw.LengthPrefixed(fw.u32).encode_many([b"one", b"x" * 100_000, b""]))
    expected = ["0 b'one'", f"1 {b'x' * 100_000!r}", "2 b''"]
    assert start("frames_from_a_file.py", "u32", capture).finish() == (0, expected, "")
    with capture.open("r+b") as file:
        file.truncate(50)
        file.seek(0)
        status, lines, errors = start("frames_from_a_file.py", "u32", "-", stdin=file.fileno()).finish()
    assert (status, lines) == (1, ["0 b'one'"]) and "the stream ended inside a frame" in errors
    status, lines, errors = start("frames_from_a_file.py", "u23", capture).finish()
    assert (status, lines) == (1, []) and "unknown name 'u23'" in errors


def test_frames_from_a_serial_line(start: Start) -> None:
    device, line = os.openpty()
    try:
        program = start("frames_from_a_serial_line.py", f"{os.ttyname(line)},115200", "slip")
        assert program.line() == f"listening on serial:{os.ttyname(line)},115200"
        # Every byte that a terminal would make something of.
        for message in (b"first", bytes(range(256)), b"last"):
            os.write(device, fw.SLIP().encode(message))
            assert program.line() == repr(message)
        assert not select.select([device], [], [], 0)[0], "nothing is echoed"
    finally:
        os.close(line)
        os.close(device)
    assert program.finish() == (0, [], "")
