"""FRAMEWIRE_BACKEND chooses a backend, once, and `framewire.backend` tells the truth about it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import framewire
from framewire import _backend

SOURCE = Path(framewire.__file__).parent.parent
try:
    _backend.load("native")
    HAS_NATIVE = True
except ImportError:
    HAS_NATIVE = False
needs_native = pytest.mark.skipif(not HAS_NATIVE, reason="built without the extension")

# What a machine without the extension looks like, whether or not this one has it.
BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("framewire._native."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
"""
REPORT = """
import framewire as fw, sys
codec = type(fw.Lines().decoder()).__module__
encoder = type(fw.Lines().encoder()).__module__
swap = fw.byteorder.swapped.__module__
native = sorted(name for name in sys.modules if name.startswith("framewire._native."))
print(fw.backend, codec, encoder, swap, fw.Decoder.__module__, bool(native), fw.Lines().encode(b"x"))
"""


def run(code: str, chosen: str | None) -> tuple[int, str, str]:
    """The exit status, the output and the last line of the errors of `code` in a fresh interpreter."""
    variables = {k: v for k, v in os.environ.items() if k != "FRAMEWIRE_BACKEND"}
    variables["PYTHONPATH"] = os.pathsep.join([str(SOURCE), variables.get("PYTHONPATH", "")])
    if chosen is not None:
        variables["FRAMEWIRE_BACKEND"] = chosen
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True)
    return done.returncode, done.stdout.strip(), (done.stderr.strip().splitlines() or [""])[-1]


def report(name: str) -> str:
    side = f"framewire._{name}"
    modules = f"{side}.codec {side}.encoder {side}.byteorder {side}.codec"
    return f"{name} {modules} {name == 'native'} b'x\\n'"


@needs_native
@pytest.mark.parametrize("chosen", [None, "", "auto", "native"])
def test_native_where_it_is(chosen: str | None) -> None:
    assert run(REPORT, chosen) == (0, report("native"), "")


@pytest.mark.parametrize(
    ("chosen", "code"), [("pure", ""), ("pure", BLOCKED), ("auto", BLOCKED), (None, BLOCKED)]
)
def test_pure_where_it_is_wanted_or_all_there_is(chosen: str | None, code: str) -> None:
    assert run(code + REPORT, chosen) == (0, report("pure"), "")


def test_native_or_nothing() -> None:
    status, output, error = run(BLOCKED + REPORT, "native")
    assert (status, output) == (1, "")
    assert error.startswith("ImportError: FRAMEWIRE_BACKEND=native, but the compiled extension is missing: ")
    assert "framewire._native" in error, "why is part of the message"


@pytest.mark.parametrize("chosen", ["bogus", "Native", "native ", "c"])
def test_a_misspelt_choice_is_an_error(chosen: str) -> None:
    for code in (REPORT, BLOCKED + REPORT):
        error = f"ImportError: FRAMEWIRE_BACKEND={chosen!r}: choose auto, native or pure"
        assert run(code, chosen) == (1, "", error)


@needs_native
@pytest.mark.parametrize("chosen", ["native", "pure"])
def test_load_gives_either_whatever_was_chosen(chosen: str) -> None:
    code = """
from framewire import _backend
for name in ("native", "pure"):
    backend = _backend.load(name)
    print(backend, backend.name, backend.codec.__name__, backend.byteorder.__name__)
print(_backend.name)
"""
    lines = [
        f"<framewire backend {name}> {name} framewire._{name}.codec framewire._{name}.byteorder"
        for name in ("native", "pure")
    ]
    assert run(code, chosen) == (0, "\n".join([*lines, chosen]), "")


def test_load_refuses_other_names() -> None:
    for name in ("auto", "c", ""):
        with pytest.raises(ValueError, match=f"unknown backend {name!r}: choose native or pure"):
            _backend.load(name)
    code = BLOCKED + "from framewire import _backend\n_backend.load('native')"
    status, _, error = run(code, None)
    assert status == 1 and error.startswith("ImportError: ") and "framewire._native" in error


def test_framings_follow_the_backend_of_the_moment(backend: _backend.Backend) -> None:
    framing = framewire.LengthPrefixed(framewire.u8)
    side = f"framewire._{backend.name}"
    assert type(framing.decoder()).__module__ == f"{side}.codec"
    assert type(framing.encoder()).__module__ == type(framing._shared()).__module__ == f"{side}.encoder"
