"""The benchmarks run and are right: each once, on a short stream. How fast they are decides nothing here."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
if not (ROOT / "bench").is_dir():
    pytest.skip("the benchmarks are not shipped here", allow_module_level=True)
sys.path.insert(0, str(ROOT))
try:
    from bench import __main__ as program
    from bench import cases, floor, live, paired
    from bench.rivals import buffered, handwritten, howto
finally:
    sys.path.remove(str(ROOT))

SHORT = 1 << 14


def ids(case: cases.Case) -> str:
    return f"{case.name}:{case.rival}"


@pytest.mark.parametrize("case", cases.CASES, ids=ids)
def test_both_sides_of_every_case_agree(case: cases.Case) -> None:
    try:
        ours, theirs = case.make(SHORT)
    except ImportError as error:
        pytest.skip(str(error))
    if not case.name.startswith("import "):
        assert ours.proof() == theirs.proof()
        assert ours.proof() not in ([], None, False)
    assert ours.time(1) >= 0 and theirs.time(1) >= 0


def test_every_case_has_a_name_of_its_own() -> None:
    names = [ids(case) for case in cases.CASES]
    assert len(names) == len(set(names))
    assert all(case.goal > 0 and case.make for case in cases.CASES)


def test_the_live_goals() -> None:
    rows = {(case.name, case.rival): case for case in cases.CASES}
    goals = {
        ("one-way/tcp/64B", "C, a malloc a frame"): 1.0,
        ("one-way/unix/64B", "C, a malloc a frame"): 1.0,
        ("one-way/tcp/64B", "buffered struct loop"): 12,
        ("one-way/tcp/64B", "pyzmq"): 30,
        ("one-way/tcp/64B", "multiprocessing.connection"): 120,
        ("one-way/tcp/64KiB", "C, a malloc a frame"): 0.95,
        ("one-way/tcp/1MiB", "C, a malloc a frame"): 0.95,
        ("one-way/unix/64KiB", "C, a malloc a frame"): 0.85,
        ("one-way/unix/1MiB", "C, a malloc a frame"): 0.9,
        ("one-way/tcp/64MiB,into", "C, one kept buffer"): 0.9,
        ("one-way/tcp/64B,each", "C, a call a message"): 0.97,
        ("one-way/unix/64B,each", "C, a call a message"): 0.97,
        ("one-way/tcp/64B,cork", "C, a call a message"): 20,
        ("one-way/tcp/1KiB,busy", "the portable path"): 1.5,
        ("ping-pong/tcp/64B", "C"): 1.25,
        ("ping-pong/unix/64B", "C"): 1.4,
        ("ping-pong/tcp/64B", "the HOWTO's loops"): 1.9,
        ("ping-pong/unix/64B", "the HOWTO's loops"): 1.9,
    }
    assert {name: rows[name].goal for name in goals} == goals
    assert {name for name in goals if rows[name].at_most} == {
        ("ping-pong/tcp/64B", "C"),
        ("ping-pong/unix/64B", "C"),
    }


def test_import_loads_nothing_heavy() -> None:
    assert cases.modules_loaded("framewire") == []
    assert cases.modules_loaded("asyncio.log") == ["asyncio", "logging", "ssl"]


@pytest.mark.parametrize(
    "loop, wire, frames",
    [
        ("u32", b"\0\0\0\3one\0\0\0\0\0\0\0\1x\0", [b"one", b"", b"x"]),
        ("u32_struct", b"\0\0\0\3one\0\0\0\0\0\0\0\1x\0", [b"one", b"", b"x"]),
        ("u16_at_2", b"ab\0\3onecd\0\0e", [b"ab\0\3one", b"cd\0\0"]),
        ("varint", b"\3one\0\x80\2" + bytes(256) + b"\x80", [b"one", b"", bytes(256)]),
        ("netstring", b"3:one,0:,10:" + bytes(10) + b",1", [b"one", b"", bytes(10)]),
        ("lines", b"one\r\n\ntwo\n\r\nx\r", [b"one", b"", b"two", b""]),
        ("crlf", b"one\r\n\r\nt\nwo\r\nx\r", [b"one", b"", b"t\nwo"]),
        (
            "header_block",
            b"A: b\r\nCONTENT-length:3\r\n\r\noneContent-Length: 0\r\n\r\nContent-Length: 9\r\n\r\nx",
            [b"one", b""],
        ),
    ],
)
def test_handwritten_loops_keep_the_tail(loop: str, wire: bytes, frames: list[bytes]) -> None:
    for size in range(1, len(wire) + 1):
        feed = getattr(handwritten, loop)()
        pieces = [wire[at : at + size] for at in range(0, len(wire), size)]
        assert [frame for piece in pieces for frame in feed(piece)] == frames


@pytest.mark.parametrize(
    "loop, wire",
    [
        ("u32", b"\0\x10\0\1"),
        ("u32_struct", b"\0\x10\0\1"),
        ("varint", b"\x81\x80\x40"),
        ("varint", b"\x80" * 11),
        ("netstring", b"1048577:"),
        ("netstring", b"01:"),
        ("netstring", b"1:ab"),
        ("lines", bytes(handwritten.LIMIT + 1)),
        ("crlf", bytes(handwritten.LIMIT + 1) + b"\r\n"),
        ("header_block", b"Content-Length: 1048577\r\n\r\n"),
        ("header_block", b"Content-Length: +5\r\n\r\n"),
        ("header_block", b"Content-Length: \r\n\r\n"),
        ("header_block", b"Content-Type: x\r\n\r\n"),
        ("header_block", bytes(handwritten.MOST_HEADER)),
    ],
)
def test_handwritten_loops_have_a_limit(loop: str, wire: bytes) -> None:
    with pytest.raises(ValueError):
        getattr(handwritten, loop)()(wire)


MESSAGES = [b"one", b"", b"\xff" * 9]
WIRE = b"".join(len(message).to_bytes(4, "big") + message for message in MESSAGES)
RECEIVED = (3, 12, sum(map(sum, MESSAGES)))


def floor_receive(sock: socket.socket, count: int, check: bool) -> live.Received:
    try:
        return live.c_receive(sock, count, check)
    except ImportError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    "receive", [buffered.receive, floor_receive, live.ours_receive, live.ours_receive_many]
)
@pytest.mark.parametrize("size", range(1, len(WIRE) + 1))
def test_live_receivers_count_and_add_up(receive: live.Receive, size: int) -> None:
    left, right = socket.socketpair()

    def trickle() -> None:
        for at in range(0, len(WIRE), size):
            left.sendall(WIRE[at : at + size])
            time.sleep(0.0005)

    thread = threading.Thread(target=trickle)
    with left, right:
        thread.start()
        assert receive(right, 3, True)[1:] == RECEIVED
        thread.join()


@pytest.mark.parametrize("receive", [buffered.receive, floor_receive])
def test_a_stream_that_ends_early_is_an_error(receive: live.Receive) -> None:
    left, right = socket.socketpair()
    with left, right:
        left.sendall(WIRE[:-1])
        left.close()
        with pytest.raises(ConnectionError):
            receive(right, 3, True)


def wait_for_nobody() -> None:
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


needs_cpus = pytest.mark.skipif(not live.CPUS, reason="no process can be kept on one CPU here")


@needs_cpus
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_round_leaves_no_child(error: type[BaseException]) -> None:
    def other(sock: socket.socket) -> None:
        time.sleep(600)

    def mine(sock: socket.socket) -> live.Received:
        raise error

    with pytest.raises(error):
        live.run("unix", live.CPUS[0], other, mine)
    wait_for_nobody()


@needs_cpus
def test_the_other_end_that_fails_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    def other(sock: socket.socket) -> None:
        raise ValueError("what went wrong")

    with pytest.raises(RuntimeError, match="the other end failed"):
        live.run("unix", live.CPUS[0], other, lambda sock: (0.0, 0, 0, 0))
    assert "what went wrong" in capfd.readouterr().err
    wait_for_nobody()


@needs_cpus
def test_each_end_has_its_cpu() -> None:
    def other(sock: socket.socket) -> None:
        sock.sendall(repr(os.sched_getaffinity(0)).encode())

    def mine(sock: socket.socket) -> live.Received:
        assert sock.recv(100).decode() == repr({live.CPUS[-1]})
        return 0.0, 0, 0, 0

    live.run("unix", live.CPUS[-1], other, mine)


@needs_cpus
def test_the_clock_starts_with_the_first_bytes() -> None:
    """A round of one message takes the time that the message takes, for every receiver."""

    def slow(sock: socket.socket) -> None:
        time.sleep(0.1)
        sock.sendall(WIRE[:4])
        time.sleep(0.1)
        sock.sendall(WIRE[4:7])
        sock.recv(1)

    for receive in (live.ours_receive, live.ours_receive_many, buffered.receive, floor_receive):
        seconds = live.run("unix", live.CPUS[0], slow, lambda sock, receive=receive: receive(sock, 1, False))[
            0
        ]
        # The first pause is not timed, the second is; a loaded machine may only add.
        assert seconds > 0.09


def test_both_ends_have_the_congestion_control() -> None:
    if live.CONTROL not in ("reno", "cubic"):
        pytest.skip("neither reno nor cubic can be chosen here")
    for sock in live.ends("tcp"):
        with sock:
            control = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
            assert control.rstrip(b"\0").decode() == live.CONTROL


@needs_cpus
def test_a_conversation_is_proven_by_what_comes_back() -> None:
    def other(sock: socket.socket) -> None:
        for _ in range(3):
            size = int.from_bytes(sock.recv(4, socket.MSG_WAITALL), "big")
            sock.sendall(size.to_bytes(4, "big") + sock.recv(size, socket.MSG_WAITALL)[::-1][:-1] + b"?")

    pings: list[Any] = [howto.ping, live.ours_ping]
    try:
        floor.module("live")
        pings.append(live.c_ping)
    except ImportError:
        pass
    for ping in pings:
        proof = live.run("unix", live.CPUS[0], other, lambda sock, ping=ping: ping(sock, b"abc", 3, True))[1:]
        assert proof == (3, 9, 3 * sum(b"cb?"))


@needs_cpus
def test_ctrl_c_ends_the_program_and_its_children() -> None:
    command = [sys.executable, "-m", "bench", "one-way/unix/64B", "--pairs", "99"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as program:
        assert program.stdout is not None
        while b"live:" not in program.stdout.readline():
            pass
        time.sleep(0.5)
        program.send_signal(signal.SIGINT)
        # Children inherit this pipe: it ends when the last of them has.
        program.stdout.read()
        assert program.wait() != 0


def costing(*costs: float) -> paired.Timed:
    """A side whose repetitions cost what is said, the last for ever."""
    left = list(costs)
    return lambda repeats: repeats * (left.pop(0) if len(left) > 1 else left[0])


def test_the_ratio_is_of_speeds() -> None:
    ratio = paired.compare(costing(2.0), costing(6.0), pairs=5, seconds=1)
    assert ratio.values == (3.0,) * 5
    assert (ratio.median, ratio.spread) == (3.0, 0.0)


def test_median_and_spread_are_of_the_pairs() -> None:
    # The first cost is the calibration's.
    ratio = paired.compare(costing(1.0), costing(9.0, 2.0, 8.0, 4.0), pairs=3, seconds=1)
    assert ratio.values == (2.0, 8.0, 4.0)
    assert (ratio.median, ratio.spread) == (4.0, 75.0)


def test_sides_take_turns_with_the_collector_off() -> None:
    import gc

    turns: list[str] = []

    def side(name: str) -> paired.Timed:
        def time(repeats: int) -> float:
            turns.append(name if not gc.isenabled() else "")
            return float(repeats)

        return time

    paired.compare(side("a"), side("b"), pairs=3, seconds=1)
    assert [turn for turn in turns if turn] == ["a", "b"] * 3
    assert gc.isenabled()


@pytest.mark.parametrize("cost", [1e-8, 1e-5, 0.3, 4.0])
def test_repeats_fill_a_round(cost: float) -> None:
    repeats = paired.repeats_for(costing(cost), 1.0)
    assert repeats == 1 or 0.4 <= repeats * cost <= 1.1


def test_the_clock_is_read_around_the_loop_only() -> None:
    ticks: Iterator[float] = iter([10.0, 13.0])
    calls: list[int] = []
    assert paired.timed(lambda: calls.append(1), lambda: next(ticks))(7) == 3.0
    assert len(calls) == 7


def made(ours: object, theirs: object, **more: Any) -> cases.Case:
    """A case of two results, where ours costs a third."""

    def make(stream: int) -> tuple[cases.Side, cases.Side]:
        return cases.Side(costing(1.0), lambda: ours), cases.Side(costing(3.0), lambda: theirs)

    return cases.Case("a case", "a rival", more.pop("goal"), make, **more)


@pytest.mark.parametrize(
    "goal, at_most, verdict",
    [(3, False, "pass"), (3.1, False, "short"), (0.34, True, "pass"), (0.3, True, "short")],
)
def test_verdict(goal: float, at_most: bool, verdict: str) -> None:
    row = program.run(made(1, 1, goal=goal, at_most=at_most), 3, True)
    assert program.line(row).split()[-1] == verdict


def test_a_note_stands_below_its_row() -> None:
    row = program.run(made(1, 1, goal=4, note="why it is so"), 3, True)
    verdict, note = program.line(row).splitlines()
    assert verdict.endswith("short") and note.strip() == "why it is so"


def test_a_proof_is_of_whole_frames() -> None:
    def start() -> Any:
        return lambda chunk: [chunk.upper()]

    assert cases.fed(start, [b"a", b"b"], bytes.lower).proof() == [b"a", b"b"]
    assert cases.fed(start, b"ab").proof() == [b"AB"]


def test_a_wrong_result_is_no_benchmark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "CASES", (made(1, 2, goal=1),))
    monkeypatch.setattr(program, "pin", lambda: "not pinned")
    assert program.main(["--quick"]) == 1
    assert "WRONG" in capsys.readouterr().out


def test_a_missing_rival_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def make(stream: int) -> tuple[cases.Side, cases.Side]:
        raise ImportError("No module named 'rival'")

    monkeypatch.setattr(program, "CASES", (cases.Case("a case", "a rival", 1, make),))
    monkeypatch.setattr(program, "pin", lambda: "not pinned")
    assert program.main(["--quick"]) == 0
    assert "skipped: No module named 'rival'" in capsys.readouterr().out


def test_the_program(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [
        sys.executable,
        "-m",
        "bench",
        "pure/u32",
        "swap",
        "--quick",
        "--pairs",
        "2",
        "--json",
        str(file),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "pure/u32/64B : a handwritten loop" in done.stdout
    figures = json.loads(file.read_text())
    assert [row["name"] for row in figures["cases"]] == ["byteorder/swap/40kB", "pure/u32/64B"]
    assert all("skipped" in row or len(row["ratios"]) == 2 for row in figures["cases"])
    refused = subprocess.run([*command[:3], "no such case"], cwd=ROOT, capture_output=True, text=True)
    assert refused.returncode == 2 and "see --list" in refused.stderr


def test_no_compiler_is_no_floor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = tmp_path / "bench" / "floor.c"
    source.parent.mkdir()
    source.write_text("int main(void) { return 0; }")
    monkeypatch.setattr(floor, "HERE", source.parent)
    monkeypatch.setenv("CC", "/bin/false")
    with pytest.raises(ImportError, match="could not be compiled|needs setuptools"):
        floor.compiled("floor")


def test_the_micro_level() -> None:
    pytest.importorskip("pytest_benchmark")
    command = [sys.executable, "-m", "pytest", "-q", "--benchmark-disable", "bench/test_micro.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
