"""The command over the network: connect, listen, bench, as real processes, on terminals where they matter."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path

import pytest

from framewire import LengthPrefixed, u32

COMMAND = [sys.executable, "-m", "framewire"]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and terminals as on Unix")
U32 = LengthPrefixed(u32)
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked off")
BACKENDS = ["pure", pytest.param("auto", id="best")]


def start(*arguments: str, backend: str = "auto", **options: object) -> subprocess.Popen[bytes]:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | options
    environment = {**os.environ, "FRAMEWIRE_BACKEND": backend}
    return subprocess.Popen([*COMMAND, *arguments], env=environment, **pipes)  # type: ignore[call-overload]


def run(*arguments: str, source: bytes = b"", backend: str = "auto") -> tuple[int, bytes, str]:
    with start(*arguments, backend=backend) as process:
        out, err = process.communicate(source, timeout=30)
    return process.returncode, out, err.decode()


@contextmanager
def listening(
    *arguments: str, backend: str = "auto", address: str = ":0", **options: object
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A `framewire listen` that runs, and where."""
    with start("listen", address, *arguments, backend=backend, **options) as process:
        try:
            line = process.stderr.readline().decode()
            found = re.match(r"listening on (\S+) \(", line)
            assert found, line + process.stderr.read().decode()
            yield found[1], process
        finally:
            if process.poll() is None:
                process.kill()


def ended(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> tuple[int, bytes, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err.decode()


@contextmanager
def peer(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server of one connection that does what `behave` says; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def serve() -> None:
            conn, _ = listener.accept()
            with conn:
                conn.settimeout(20)
                behave(conn)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f":{listener.getsockname()[1]}"
        thread.join(20)


def drained(conn: socket.socket) -> bytes:
    return b"".join(iter(lambda: conn.recv(65536), b""))


def says(data: bytes) -> Callable[[socket.socket], None]:
    """Sends `data`, then takes everything that comes, and ends."""

    def behave(conn: socket.socket) -> None:
        conn.sendall(data)
        conn.shutdown(socket.SHUT_WR)
        drained(conn)

    return behave


# --- connect --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", BACKENDS)
@pytest.mark.parametrize("mode", ["threads", "selector", "processes", "asyncio"])
def test_request_and_reply(mode: str, engine: str) -> None:
    with listening("u32", "--echo", "--mode", mode, backend=engine) as (address, server):
        assert run("connect", address, "u32", "ping", "pong", "-n2", backend=engine) == (
            0,
            b"ping\npong\n",
            "",
        )
        done = run("connect", address, "u32", "-o", "json", source=b"a\nb\n", backend=engine)
        assert (done[0], done[2]) == (0, "")
        records = [json.loads(line) for line in done[1].splitlines()]
        assert [sorted(record) for record in records] == 2 * [
            ["conn", "dir", "n", "offset", "size", "t", "text"]
        ]
        assert [(r["conn"], r["dir"], r["n"], r["offset"], r["size"], r["text"]) for r in records] == [
            (1, "in", 1, 0, 1, "a"),
            (1, "in", 2, 5, 1, "b"),
        ]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", records[0]["t"])
        # What was shown is read back, dumps too.
        for form in ("json", "dump", "hex", "base64"):
            shown = run("connect", address, "u32", "-o", form, source=b"a\nb\n")[1]
            assert run("connect", address, "u32", "-i", form, source=shown)[1] == b"a\nb\n", form
        assert ended(server) == (0, b"", "")


def test_bulk_goes_both_ways_at_once() -> None:
    source = b"".join(b"%d\n" % number for number in range(300_000))
    with listening("u32", "--echo") as (address, _):
        assert run("connect", address, "u32", source=source) == (0, source, "")


def test_both_outer_sides_are_framings(tmp_path: Path) -> None:
    path = tmp_path / "message"
    path.write_bytes(b"two\nlines")
    with listening("u32", "--echo") as (address, _):
        connect = ("connect", address, "u32")
        assert run(*connect, "-i", "u16le", "-o", "netstring", source=b"\1\0a\0\0")[1] == b"1:a,0:,"
        assert run(*connect, "--hex", "00 ff", "0a", "-o", "hex")[1] == b"00ff\n0a\n"
        assert run(*connect, f"@{path}", r"a\n", "-n", "2")[1] == b"two\\nlines\na\\n\n"
        assert run(*connect, "@-", source=b"x\ny")[1] == b"x\\ny\n"
        assert run(*connect, "x", "y", "--repeat", "3")[1] == b"x\ny\n" * 3
        began = time.monotonic()
        assert run(*connect, "x", "--repeat", "3", "--interval", "100ms", "-n3")[1] == b"x\n" * 3
        assert time.monotonic() - began >= 0.2


def test_a_late_answer_arrives() -> None:
    def behave(conn: socket.socket) -> None:
        assert drained(conn) == U32.encode(b"ping")
        time.sleep(1.2)
        conn.sendall(U32.encode(b"late"))

    with peer(behave) as address:
        assert run("connect", address, "u32", source=b"ping\n") == (0, b"late\n", "")


def test_two_sides_of_a_protocol() -> None:
    def behave(conn: socket.socket) -> None:
        # What a server says has another framing than what a client begins with.
        assert conn.recv(100) == b"AMQP\0\0\x09\1"
        conn.sendall(bytes.fromhex("01000000000002abcdce"))

    with peer(behave) as address:
        done = run("connect", address, "amqp", "--hex", "414d515000000901", "-o", "hex", "-n1")
        assert done == (0, b"01000000000002abcdce\n", "")


def test_send_framing() -> None:
    with peer(lambda conn: conn.sendall(U32.encode(drained(conn)))) as address:
        assert run("connect", address, "u32", "--send-framing", "netstring", "hi")[1] == b"2:hi,\n"


def test_stops() -> None:
    with peer(says(U32.encode_many([b"1", b"2", b"3"]))) as address:
        assert run("connect", address, "u32", "-n2")[:2] == (0, b"1\n2\n")

    def wait_for_end(conn: socket.socket) -> None:
        conn.sendall(U32.encode(b"1"))
        drained(conn)

    for options, status in ((["--for", "300ms"], 0), (["--timeout", "300ms"], 5)):
        with peer(wait_for_end) as address, start("connect", address, "u32", *options) as process:
            # Standard input stays open, and is not waited for.
            assert process.stdout.read() == b"1\n"
            assert process.wait(20) == status
            err = process.stderr.read().decode()
        assert ("no message came for 0.3 s" in err) == (status == 5)

    def never_end(conn: socket.socket) -> None:
        assert conn.recv(100) == b"\0\0\0\1x"
        conn.recv(100)
        time.sleep(1.5)

    began = time.monotonic()
    with peer(never_end) as address:
        assert run("connect", address, "u32", "x", "--wait", "200ms") == (0, b"", "")
        assert time.monotonic() - began < 1.5


def test_one_way_and_no_half_close() -> None:
    got: list[bytes] = []

    def farewell_first(conn: socket.socket) -> None:
        conn.sendall(U32.encode(b"noise"))
        conn.shutdown(socket.SHUT_WR)
        got.append(drained(conn))

    source = b"y\n" * 50_000
    with peer(farewell_first) as address:
        assert run("connect", address, "u32", "--one-way", source=source) == (0, b"", "")
    assert got == [U32.encode(b"y") * 50_000]

    def goodbye(conn: socket.socket) -> None:
        assert conn.recv(100) == U32.encode(b"x")
        conn.settimeout(0.3)
        with pytest.raises(TimeoutError):
            conn.recv(100)
        conn.sendall(U32.encode(b"answer"))

    with peer(goodbye) as address:
        assert run("connect", address, "u32", "x", "--no-half-close")[:2] == (0, b"answer\n")


def test_the_peer_ends_it_with_an_idle_terminal() -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    try:
        with (
            peer(lambda conn: conn.sendall(U32.encode(b"bye"))) as address,
            start("connect", address, "u32", stdin=theirs) as process,
        ):
            assert process.stdout.read() == b"bye\n"
            assert process.wait(20) == 0
    finally:
        os.close(ours)
        os.close(theirs)


def test_unsent_messages_are_told() -> None:
    def refuse(conn: socket.socket) -> None:
        conn.shutdown(socket.SHUT_WR)
        time.sleep(0.5)

    with peer(refuse) as address:
        status, _, err = run("connect", address, "u32", source=b"z" * 900_000 + b"\n" + b"y\n" * 5_000_000)
    assert status == 1
    assert "not all of the input was sent" in err or "is lost" in err


# --- how it ends ----------------------------------------------------------------------------------------


def test_statuses() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        status, out, err = run("connect", f":{unused.getsockname()[1]}", "u32", "x")
    assert (status, out) == (1, b"")
    assert re.match(
        r"framewire: cannot connect to 127\.0\.0\.1:\d+: Connection refused \(ECONNREFUSED\)\n  nothing", err
    )
    assert run("connect", "unix:/nowhere/at/all", "u32", "x")[0] == 1
    for address in ("9000", "/tmp/x", "tcp://", "host:port", "tls://x"):
        assert run("connect", address, "u32", "x")[0] == 2, address
    for stream, status, text in (
        (b"HTTP/1.1 400 Bad Request\r\n", 3, 'begins with the text "HTTP"'),
        (b"\0\0\0\2ok\0\0\0\5cut", 4, "ended inside a frame: 7 bytes of it arrived"),
    ):
        with peer(says(stream)) as address:
            done, out, err = run("connect", address, "u32", "hello", "-n5")
        assert done == status
        assert text in err and out == (b"ok\n" if status == 4 else b"")
        lines = err.splitlines()
        assert 3 <= len(lines) <= 6 and "^^" in err and stream[-3:].decode().strip() in err

    def reset(conn: socket.socket) -> None:
        conn.recv(1)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with peer(reset) as address:
        status, _, err = run("connect", address, "u32", "hello")
    assert status == 1 and "is lost" in err


def test_what_went_wrong_is_told_for_people(tmp_path: Path) -> None:
    for arguments, status, text in (
        (["connect"], 2, "are required: ADDRESS, FRAMING\n"),
        (["explain"], 2, "are required: FRAMING\n"),
        (["connect", "exec:/nowhere/x", "u32", "x"], 1, "\n  there is no such program\n"),
        (["connect", "serial:/nowhere/x", "u32", "x"], 1, "\n  there is no such device\n"),
        (
            ["connect", "exec:sh -c 'cat; exit 3'", "lines", "x"],
            1,
            "framewire: the program ended by exit 3\n",
        ),
        (["connect", "exec:sh -c 'cat; kill -9 $$'", "lines", "x"], 1, "the program ended by signal 9\n"),
        (["connect", "exec:sh -c 'cat; exit 3'", "lines", "x", "-n1"], 0, ""),
    ):
        done, _, err = run(*arguments)
        assert (done, text in err) == (status, True), err
    path = f"unix:{tmp_path / 'socket'}"
    with listening("u32", address=path):
        err = run("listen", path, "u32")[2]
        assert "choose another address" in err
    err = run("listen", "192.0.2.77:0", "u32")[2]
    assert "Cannot assign requested address (EADDRNOTAVAIL)\n" in err and "attempting" not in err


def test_tls_where_there_is_none() -> None:
    pytest.importorskip("ssl")
    with listening("u32", "--echo") as (address, server):
        assert run("connect", address, "u32", "x", "--insecure")[0] == 1
        assert "these are bytes of TLS" in ended(server)[2]


def test_bad_input_comes_after_good() -> None:
    got: list[bytes] = []
    with peer(lambda conn: got.append(drained(conn))) as address:
        status, _, err = run("connect", address, "u32", "-i", "hex", source=b"00\nzz\n01\n")
        assert status == 3 and "input line 2 is not hex" in err
    assert got == [U32.encode(b"\0")]
    with peer(lambda conn: got.append(drained(conn))) as address:
        status, _, err = run("connect", address, "u8", source=b"a\n" + b"b" * 300 + b"\n")
        assert status == 3 and err.startswith("framewire: message 2: a message of 300 bytes")
    assert got[1] == b"\1a"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_connect(number: int) -> None:
    with listening("u32", "--echo") as (address, _):
        with start("connect", address, "u32") as process:
            process.stdin.write(b"hello\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"hello\n"
            status, out, err = ended(process, number)
        assert status == -number
        assert err == "framewire: received 1 messages in 9 bytes, sent 1 in 9\n"


def test_ctrl_c_on_a_terminal() -> None:
    pty = pytest.importorskip("pty")
    with listening("u32", "--echo") as (address, _):
        pid, ours = pty.fork()
        if pid == 0:
            os.execv(sys.executable, [*COMMAND, "connect", address, "u32"])
        shown = b""
        os.write(ours, b"hello\n")
        while shown.count(b"hello\r\n") < 2:  # typed, and answered
            shown += os.read(ours, 1000)
        os.write(ours, b"\x03")
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGINT
        try:
            shown += os.read(ours, 1000)
        except OSError:
            pass
        assert b"received 1 messages in 9 bytes" in shown and b"Traceback" not in shown
        os.close(ours)


def test_a_reader_that_goes_away() -> None:
    with peer(lambda conn: [conn.sendall(U32.encode(b"x" * 1000)) for _ in range(200)]) as address:
        with start("connect", address, "u32") as process:
            process.stdout.readline()
            process.stdout.close()
            assert process.wait(20) == -signal.SIGPIPE
            assert process.stderr.read() == b""


# --- listen ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_in_an_event_loop(loop: str) -> None:
    pytest.importorskip(loop)
    with listening("u32", "--echo", "--loop", loop) as (address, server):
        assert run("connect", address, "u32", "hello", "-n1") == (0, b"hello\n", "")
        assert ended(server) == (0, b"", "")


def test_a_loop_goes_with_asyncio() -> None:
    status, out, err = run("listen", "tcp://127.0.0.1:0", "u32", "--mode", "threads", "--loop", "asyncio")
    assert (status, out) == (2, b"") and "goes with mode='asyncio'" in err


@pytest.mark.parametrize("mode", ["threads", "selector", "processes", "asyncio"])
def test_prints_what_many_say(mode: str) -> None:
    with listening("u32", "-o", "json", "-v", "--mode", mode) as (address, server):
        for text in ("one", "two"):
            assert run("connect", address, "u32", text, "more") == (0, b"", "")
        lines = [json.loads(server.stdout.readline()) for _ in range(8)]
        status, out, err = ended(server, signal.SIGINT)
    assert (status, out) == (0, b"")
    assert "served 2 connections, 0 failed" in err
    messages = [(line["conn"], line["n"], line["offset"], line["text"]) for line in lines if "n" in line]
    assert messages == [(1, 1, 0, "one"), (1, 2, 7, "more"), (2, 1, 0, "two"), (2, 2, 7, "more")]
    assert [line["event"] for line in lines if "event" in line] == ["open", "close"] * 2


def say(address: str, stream: bytes) -> None:
    """Send all of it, and wait for the end."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as conn:
        conn.sendall(stream)
        conn.shutdown(socket.SHUT_WR)
        try:
            drained(conn)
        except ConnectionError:
            pass  # enough had come


def all_say(address: str, streams: list[bytes]) -> list[threading.Thread]:
    def one(stream: bytes) -> None:
        with suppress(OSError):  # enough has come from the others
            say(address, stream)

    threads = [threading.Thread(target=one, args=(stream,), daemon=True) for stream in streams]
    for thread in threads:
        thread.start()
    return threads


@FORKS
def test_workers_print_whole_lines() -> None:
    """Longer ones than a pipe holds, too: nobody writes between the two halves of a line."""
    letters = [bytes([letter]) for letter in b"abcdefgh"]
    with listening("u32", "--mode", "processes") as (address, server):
        threads = all_say(address, [U32.encode_many(4 * [letter * 150_000]) for letter in letters])
        lines = [server.stdout.readline() for _ in range(4 * len(letters))]
        for thread in threads:
            thread.join(20)
        assert ended(server) == (0, b"", "")
    assert sorted(lines) == sorted(4 * [letter * 150_000 + b"\n" for letter in letters])


@FORKS
def test_workers_count_together() -> None:
    stream = U32.encode_many([b"%d" % number for number in range(10)])
    with listening("u32", "--mode", "processes", "-n", "25", "-o", "json", "-v") as (address, server):
        threads = all_say(address, 8 * [stream])
        out, err = server.communicate(timeout=30)
        for thread in threads:
            thread.join(20)
    records = [json.loads(line) for line in out.splitlines()]
    assert (server.returncode, sum("n" in record for record in records)) == (0, 25), err
    opened = [record["conn"] for record in records if record.get("event") == "open"]
    assert sorted(opened) == [*range(1, len(opened) + 1)], "a number for each, whoever serves it"
    with listening("u32", "--mode", "processes", "--echo", "-n", "3") as (address, server):
        assert run("connect", address, "u32", "1", "2", "3", "-n3")[1] == b"1\n2\n3\n"
        assert server.wait(20) == 0
    with listening("u32", "--mode", "processes", "--for", "2s") as (address, server):
        say(address, U32.encode(b"\x1b"))
        assert server.wait(20) == 0
        assert server.stdout.read() == b"\\x1b\n"
        assert b"1 of 1 messages are not exact" in server.stderr.read(), "counted where it is told"


@FORKS
def test_workers_whose_reader_goes_away() -> None:
    with listening("u32", "--mode", "processes") as (address, server):
        say(address, U32.encode(b"one"))
        assert server.stdout.readline() == b"one\n"
        server.stdout.close()
        for _ in range(3):
            try:
                say(address, U32.encode(b"two"))
            except ConnectionError:
                break
        assert server.wait(20) == -signal.SIGPIPE
        assert server.stderr.read() == b""


@FORKS
def test_a_worker_dies_and_the_others_print_on() -> None:
    def children(pid: int) -> list[int]:
        try:
            return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except OSError:
            pytest.skip("needs /proc with the children of a process")

    with listening("u32", "--mode", "processes", "-o", "json") as (address, server):
        say(address, U32.encode(b"before"))
        (supervisor,) = children(server.pid)
        for worker in (before := children(supervisor)):
            os.kill(worker, signal.SIGKILL)
        while set(before) & set(children(supervisor)) or len(children(supervisor)) < len(before):
            time.sleep(0.02)
        while True:
            try:
                say(address, U32.encode(b"after"))
                break
            except ConnectionError:
                time.sleep(0.02)  # a successor does not listen yet
        records = [json.loads(server.stdout.readline()) for _ in range(2)]
        status, _, err = ended(server)
    assert [record["text"] for record in records] == ["before", "after"]
    assert records[1]["conn"] > 1, "numbers are not given twice"
    assert status == 0 and "ended by signal 9; a new one begins" in err


def test_what_peers_break_is_told() -> None:
    with listening("u32") as (address, server):
        assert run("connect", address, "crlf", "HTTP/1.1", "--one-way")[0] in (0, 1)
        assert run("connect", address, "u32", "after")[0] == 0
        assert server.stdout.readline() == b"after\n"
        status, _, err = ended(server)
    assert status == 0
    assert "frame too large" in err and "(--max-frame)" in err
    assert err.startswith("framewire: tcp://127.0.0.1:")


def test_replies() -> None:
    with listening("lines", "--reply", "fine") as (address, _):
        assert run("connect", address, "lines", "a", "b")[1] == b"fine\nfine\n"
    status, _, err = run("listen", ":0", "lines", "--reply", "a\nb")
    assert status == 2 and "--reply: " in err


def test_a_program_for_each_connection() -> None:
    with listening("u32", "--exec", "sed -u s/^/got:/") as (address, server):
        with start("connect", address, "u32") as first, start("connect", address, "netstring") as other:
            for text in (b"a\n", b"b\n"):
                first.stdin.write(text)
                first.stdin.flush()
                assert first.stdout.readline() == b"got:" + text
            first.stdin.close()
            assert first.wait(20) == 0
            other.kill()
        assert run("connect", address, "u32", "x")[:2] == (0, b"got:x\n")
        assert ended(server)[0] == 0
    with listening("u32", "--exec", "echo hello", "--once") as (address, server):
        assert run("connect", address, "u32") == (0, b"hello\n", "")
        assert server.wait(20) == 0
    assert "there is no program" in run("listen", ":0", "u32", "--exec", "no-such-program")[2]


@pytest.mark.parametrize("engine", BACKENDS)
def test_once_is_a_chat(engine: str) -> None:
    with listening("u32", "--once", backend=engine) as (address, server):
        with start("connect", address, "u32", backend=engine) as client:
            for speaker, hearer in ((server, client), (client, server), (server, client)):
                speaker.stdin.write(b"hello\n")
                speaker.stdin.flush()
                assert hearer.stdout.readline() == b"hello\n"
            client.stdin.close()
            server.stdin.close()
            assert (client.wait(20), server.wait(20)) == (0, 0)


def test_proxy_protocol() -> None:
    for more in ([], ["--once"]):
        with listening("u32", "-o", "json", "-v", "--proxy-protocol", *more, stdin=subprocess.DEVNULL) as (
            address,
            server,
        ):
            host, _, port = address.rpartition(":")
            with socket.create_connection((host, int(port))) as conn:
                conn.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 443\r\n" + U32.encode(b"hi"))
            opened, message = (json.loads(server.stdout.readline()) for _ in range(2))
            assert opened["peer"] == "192.0.2.1:4000"
            assert (message["text"], message["offset"]) == ("hi", 41)


def test_limits_of_listen(tmp_path: Path) -> None:
    with listening("u32", "-n", "3") as (address, server):
        run("connect", address, "u32", "1", "2", "3", "4")
        assert server.wait(20) == 0
        assert server.stdout.read() == b"1\n2\n3\n"
    with listening("u32", "--for", "300ms") as (_, server):
        assert server.wait(20) == 0
    path = f"unix:{tmp_path / 'socket'}"
    with listening("u32", "--echo", "--print-address", address=path) as (address, server):
        assert address == path and server.stdout.readline() == path.encode() + b"\n"
        assert run("connect", path, "u32", "x")[1] == b"x\n"
        ended(server)
    assert not (tmp_path / "socket").exists()
    for bad in (
        ["--timeout", "1"],
        ["--exec", "cat", "--mode", "selector"],
        ["--exec", "cat", "--mode", "processes"],
    ):
        assert run("listen", ":0", "u32", *bad)[0] == 2
    assert run("listen", "tls://:0", "u32")[0] == 2


@pytest.mark.parametrize(
    ("written", "bound"),
    [(":0", "127.0.0.1"), ("localhost:0", "127.0.0.1"), ("*:0", "*"), ("tcp://:0", "*")],
)
def test_nothing_is_exposed_by_accident(written: str, bound: str) -> None:
    with listening("u32", "--echo", address=written) as (address, _):
        host, _, port = address.rpartition(":")
        assert host in (bound, "[::1]" if bound != "*" else "")
        assert run("connect", address if bound != "*" else f":{port}", "u32", "x")[1] == b"x\n"


def test_a_first_ctrl_c_drains() -> None:
    with listening("u32", "--echo", "--mode", "threads") as (address, server):
        with start("connect", address, "u32") as client:
            client.stdin.write(b"hello\n")
            client.stdin.flush()
            assert client.stdout.readline() == b"hello\n"
            assert ended(server, signal.SIGINT)[0] == 0
            assert client.wait(20) == 0


# --- bench ----------------------------------------------------------------------------------------------


def test_bench_with_a_rate() -> None:
    with listening("u32", "--echo") as (address, _):
        bench = ("bench", address, "u32", "--for", "500ms")
        status, out, err = run(*bench, "--rate", "1000", "--connections", "3", "--size", "100", "-o", "json")
        assert (status, err) == (0, "")
        found = json.loads(out)
        assert 0 < found["sent"] == found["received"] <= 500 and found["errors"] == 0
        assert 0.4 < found["seconds"] < 5
        order = [found[f"{name}_us"] for name in ("p50", "p90", "p99", "p99.9", "max")]
        assert order == sorted(order) and order[0] > 0
        status, out, err = run(*bench, "--depth", "4", "--max-p99", "1us")
        assert status == 6 and "--max-p99" in err
        assert re.match(rb"sent \d+  received \d+  \d+ msg/s  [\d.]+ MB/s  errors 0\nlatency  p50 ", out)
        assert run(*bench, "--max-p99", "20s")[0] == 0
        assert run(*bench, "--rate", "10", "--depth", "2")[0] == 2


def test_bench_counts_from_the_intended_time() -> None:
    """A server that sleeps makes all messages late that were due meanwhile, not only those in its hands."""

    def stall(conn: socket.socket) -> None:
        time.sleep(0.5)
        while data := conn.recv(65536):
            conn.sendall(data)

    with peer(stall) as address:
        out = run("bench", address, "u32", "--rate", "200", "--for", "1s", "-o", "json")[1]
    found = json.loads(out)
    assert found["sent"] == found["received"] == 200
    assert found["p50_us"] < 490_000 < found["max_us"]
    assert found["p90_us"] > 250_000


def test_bench_tells_what_was_lost() -> None:
    with peer(lambda conn: conn.recv(100)) as address:
        status, out, err = run("bench", address, "u32", "--for", "2s")
    assert status == 1
    assert "1 unanswered messages" in err and "1 lost connections" in err
    assert b"received 0" in out


def test_tls(tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    authority, pair = tmp_path / "ca.pem", tmp_path / "server.pem"
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(authority))
    ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(pair))
    cases = [(["--tls-ca", str(authority)], 0), (["--insecure"], 0), ([], 1)]
    for (trust, status), once in product(cases, ([], ["--once"])):
        with listening("u32", "--echo", *once, "--tls-cert", str(pair)) as (address, _):
            assert address.startswith("tls://127.0.0.1:")
            there = f"tls://localhost:{address.rpartition(':')[2]}"
            done, out, err = run("connect", there, "u32", "ping", *trust)
        assert (done, out) == (status, b"" if status else b"ping\n")
        assert ("--tls-ca FILE trusts" in err) == bool(status)
        assert "cafile=" not in err, "that is for programmers"
