"""The command over the network shows nothing raw, and what its help and its page show is what happens."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from test_netcat import U32, listening, peer, run, says, start
from test_terminal import HOSTILE, need_harmless

from framewire.cli import HELP, main
from framewire.cli.formats import FORMATS

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and terminals as on Unix")


# --- terminals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "raw"])
@pytest.mark.parametrize("verb", ["connect", "listen"])
def test_nothing_raw_in_any_format(form: str, verb: str) -> None:
    stream = U32.encode_many([*HOSTILE, b"".join(HOSTILE)])
    if verb == "connect":
        with peer(says(stream)) as address:
            status, out, err = run("connect", address, "u32", "-o", form, "-vv")
    else:
        with listening("u32", "-o", form, "-vv", "-n", str(len(HOSTILE) + 1)) as (address, server):
            with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as conn:
                conn.sendall(stream)
                conn.shutdown(socket.SHUT_WR)
                out, raw = server.communicate(timeout=30)
            status, err = server.returncode, raw.decode()
    assert status == 0
    need_harmless(out)
    need_harmless(err)
    if form != "dump":
        assert out.count(b"\n") >= len(HOSTILE) + 1


@pytest.mark.parametrize(
    "framing", ["u32", "netstring", "digits:3", "u16,offset=1,magic=\\x01", "lines,max_frame=2"]
)
def test_nothing_raw_in_errors(framing: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    for hostile in [*HOSTILE[::12], *HOSTILE[-4:]]:
        with peer(says(hostile * 3 + b"\n")) as address:
            assert main(["connect", address, framing, "x", "--debug", "--one-way"]) in (0, 3, 4)
        with peer(says(hostile * 3 + b"\n")) as address:
            assert main(["connect", address, framing, "x", "--debug"]) in (0, 3, 4)
        out, err = capsysbinary.readouterr()
        need_harmless(out)
        need_harmless(err)


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x9b31m", "\u202egnp", "\x07\r", "\udcff"])
def test_nothing_raw_of_arguments(hostile: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    for arguments in (
        ["connect", hostile, "u32", "x"],
        ["connect", f"unix:/{hostile}", "u32", "x"],
        ["connect", f"{hostile}.invalid:1", "u32", "x"],
        ["connect", ":1", hostile, "x"],
        ["connect", ":1", "u32", "--timeout", hostile],
        ["connect", ":1", "u32", "--send-framing", hostile, "x"],
        ["connect", ":1", "u32", "--tls-ca", hostile, "x"],
        ["connect", ":1", "u32", f"@/{hostile}"],
        ["connect", f"exec:/{hostile}", "u32", "x"],
        ["listen", hostile, "u32"],
        ["listen", f"unix:/{hostile}/{hostile}", "u32"],
        ["listen", ":0", "u32", "--exec", hostile],
        ["listen", ":0", "u32", "--tls-cert", hostile],
        ["bench", ":1", "u32", "--rate", hostile],
        ["completion", hostile],
    ):
        assert main(arguments) in (1, 2), arguments
        out, err = capsysbinary.readouterr()
        need_harmless(out)
        need_harmless(err)
        assert err, arguments


def test_raw_needs_force_on_a_terminal() -> None:
    pty = pytest.importorskip("pty")
    for verb in (["connect", ":1", "u32", "x"], ["listen", ":0", "u32"], ["listen", ":0", "u32", "--once"]):
        for form in ("raw", "netstring"):
            ours, theirs = pty.openpty()
            with start(*verb, "-o", form, stdout=theirs) as process:
                os.close(theirs)
                assert process.wait(20) == 2
                assert b"--force" in process.stderr.read()
            os.close(ours)


# --- help, completion, documents ------------------------------------------------------------------------


def test_completion(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    out = capsys.readouterr().out
    assert "--half-close" not in out and "--no-half-close" in out and "--max-p99" in out
    assert main(["completion", "nonsense"]) == 2
    assert "choose one of bash" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert "pip install 'framewire[cli]'" in capsys.readouterr().err


FIGURES = [
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r"\b\d+(\.\d+)? (MB/s|msg/s)", r"N \2"),
    (r"\b\d+(\.\d+)? (us|ms|s)\b", "TIME"),
    (r"\b(sent|received) \d+\b", r"\1 N"),
    (r"tcp://127\.0\.0\.1:\d+", "PEER"),
]


def masked(text: str) -> str:
    for pattern, shown in FIGURES:
        text = re.sub(pattern, shown, text)
    return text


def session(script: list[str], folder: Path) -> list[str]:
    """What the commands show, one text each; a `framewire listen ... &` is waited for, and ended at last."""
    shim = folder / "framewire"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m framewire "$@"\n')
    shim.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    options = {"shell": True, "cwd": folder, "env": {**os.environ, "PATH": path}}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    servers, shown = [], []
    try:
        for line in script:
            line = line.replace(":9000", f":{port}")
            if line.endswith("&"):
                servers.append(
                    subprocess.Popen(f"exec {line[:-1]}", stderr=subprocess.PIPE, text=True, **options)
                )
                shown.append(servers[-1].stderr.readline())
            else:
                pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
                shown.append(subprocess.run(line, timeout=30, **pipes, **options).stdout)
    finally:
        for server in servers:
            server.terminate()
            server.communicate(timeout=20)
    return [text.replace(f":{port}", ":9000") for text in shown]


def test_the_sessions_in_the_help(tmp_path: Path) -> None:
    script = [line.strip()[2:] for line in HELP.splitlines() if line.startswith("  $ ")]
    assert len(script) == 4
    listen, connect, piped, bench = session(script, tmp_path)
    assert listen.startswith("listening on 127.0.0.1:9000 (u32: ")
    assert connect == "ping\npong\n"
    assert [json.loads(line)["text"] for line in piped.splitlines()] == ["a", "b"]
    # 2000 on a machine with nothing else to do.
    assert re.match(r"sent (\d+)  received \1  .*  errors 0\nlatency  p50 ", bench), bench


def test_the_sessions_in_the_page(tmp_path: Path) -> None:
    """Every block of docs/command.md runs as it stands, in its order; figures may differ."""
    page = (ROOT / "docs/command.md").read_text("utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 6
    for block in blocks:
        expected: list[list[str]] = []
        for line in block.splitlines():
            if line.startswith("$ "):
                expected.append([line[2:]])
            else:
                expected[-1].append(line)
        shown = session([command for command, *_ in expected], tmp_path)
        for (command, *lines), text in zip(expected, shown):
            assert masked(text).rstrip("\n") == masked("\n".join(lines)), command
