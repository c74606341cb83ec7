"""The floor plan, enforced: numbers only go down, and the two backends are twins.

A module may import modules with a smaller number, never an equal or a larger one, and never the package
itself. The modules of one package (`cli`) share its number and may import each other without a cycle.
"""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src/framewire"
CSRC = ROOT / "csrc"

SIDES = ("_native", "_pure")
FLOORS = [
    ["errors", "_version", "_transport", "_mutf8", "_formats"],
    ["_native._csrc", "_native._python", "_native._system", "_native._output"],
    ["_native.plan", "_pure.plan"],
    ["_pure.stuff", "_pure.talk", "_pure.text", "_pure.fragments", "_pure.enclosed", "_pure.dotted"],
    ["_native.encoder", "_pure.encoder"],
    [f"{side}.{name}" for side in SIDES for name in ("codec", "byteorder", "shape", "structs")],
    [f"{side}.unpacking" for side in SIDES],
    [f"{side}.packing" for side in SIDES],
    ["_pure.straight"],
    [f"{side}.records" for side in SIDES],
    [f"{side}.{name}" for side in SIDES for name in ("messages", "packers")],
    [f"{side}.cursors" for side in SIDES],
    ["_native.stream", "_pure.stream"],
    ["_native.sending", "_pure.sending"],
    ["_native.receiving", "_pure.receiving"],
    ["_native.channel", "_pure.channel"],
    ["_native.protocol", "_pure.protocol"],
    ["_backend"],
    ["fields", "_address", "_options", "_child", "_devices", "_tls"],
    ["streaming", "_sslsocket", "sequences", "structure"],
    ["_framing"],
    ["framings", "stuffed", "talk", "text", "enclosed", "byteorder", "_lowering"],
    ["_layouts"],
    ["records", "_grammar", "_preset"],
    ["packers", "cursors", "protocols", "_handler", "headerframed", "layout", "_connection"],
    ["sockets"],
    ["_loops"],
    ["_service"],
    ["aio"],
    ["server"],
    ["proxy", "explain", "guess", "wireshark", "pcap", "testing"],
    ["cli"],
    ["", "__main__"],  # "" is the face, __init__.py
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
C_HEADERS = {"stddef.h", "stdint.h", "stdbool.h", "string.h", "immintrin.h", "arm_neon.h"}
CYTHON_IMPORT = re.compile(r"^\s*(?:from\s+(\S+)\s+c?import\s+(.+)|c?import\s+(\S+))", re.MULTILINE)


def module_of(path: Path) -> str:
    """`codec.pyx` in `_native` is "_native.codec"; an `__init__.py` is its package; the face is ""."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def unit(module: str) -> str:
    """The name that carries the number: `cli.decode` stands on the floor of `cli`."""
    return module if module.split(".")[0] in SIDES else module.split(".")[0]


def is_module(dotted: str) -> bool:
    base = PACKAGE.joinpath(*dotted.split("."))
    return base.is_dir() or any(base.with_suffix(end).exists() for end in (".py", ".pyx", ".pxd"))


def resolve(path: Path, source: str, level: int, names: list[str]) -> set[str]:
    """The modules of ours that `from <level dots><source> import <names>` in `path` reaches."""
    if level:
        here = path.parent.relative_to(PACKAGE).parts
        parts = [*here[: len(here) - level + 1], *filter(None, source.split("."))]
    elif source.split(".")[0] == "framewire":
        parts = source.split(".")[1:]
    else:
        return set()
    found = {".".join([*parts, name]) for name in names if is_module(".".join([*parts, name]))}
    return found if found and len(found) == len(names) else found | {".".join(parts)}


def imports(path: Path) -> set[str]:
    """Every module of ours that `path` imports, at whatever depth, at run time or for types only."""
    reached: set[str] = set()
    if path.suffix in (".pyx", ".pxd"):
        for source, names, plain in CYTHON_IMPORT.findall(path.read_text("utf-8")):
            dotted = source or plain
            level = len(dotted) - len(dotted.lstrip("."))
            wanted = [name.split()[0] for name in names.split("#")[0].strip("() ").split(",") if name.strip()]
            reached |= resolve(path, dotted[level:], level, wanted)
        return reached
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            reached |= resolve(path, node.module or "", node.level, [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            for alias in node.names:
                reached |= resolve(path, alias.name, 0, [])
    return reached


SOURCES = sorted(path for end in ("py", "pyi", "pyx", "pxd") for path in PACKAGE.rglob(f"*.{end}"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_down(path: Path) -> None:
    module = module_of(path)
    if module in SIDES:
        assert not imports(path)
        return
    assert unit(module) in FLOOR, f"{module} has no number: give it one in DESIGN's floor plan and here"
    for target in imports(path) - {module}:
        if target in SIDES:
            pytest.fail(f"{module} imports the package {target}, not a module of it")
        if module != "" and target == "":
            pytest.fail(f"{module} imports the package itself")
        if unit(target) == unit(module) and target != unit(target):
            continue
        assert FLOOR[unit(target)] < FLOOR[unit(module)], f"{module} must not import {target}"


def test_only_backend_knows_that_there_are_two() -> None:
    for path in SOURCES:
        module = module_of(path)
        reached = {target.split(".")[0] for target in imports(path)} & set(SIDES)
        if module != "_backend":
            assert reached <= {module.split(".")[0]}, f"{module} imports a backend"


def test_packages_have_no_cycle() -> None:
    graph = {module_of(path): imports(path) - {module_of(path)} for path in SOURCES if path.suffix != ".pyi"}
    graph[""] = set()  # the face imports everything and is imported by nothing, see above
    TopologicalSorter(graph).prepare()


def test_backends_are_twins() -> None:
    native = {path.stem for path in (PACKAGE / "_native").glob("*.pyx")}
    pure = {path.stem for path in (PACKAGE / "_pure").glob("*.py")} - {"__init__"}
    # The twin of a framing that needs no Python object is a C file alone.
    pure -= {name for name in pure - native if (CSRC / f"fw_{name}.c").exists()}
    pure -= {"straight"}  # source made for speed, which C has without
    stubs = {path.stem for path in (PACKAGE / "_native").glob("*.pyi")}
    assert native == pure
    unseen = {"plan", "shape", "unpacking", "packing"}
    assert native - stubs <= unseen, "only what Python code never sees needs no stub"


@pytest.mark.parametrize("path", sorted(CSRC.glob("*.[ch]")), ids=lambda path: path.name)
def test_c_core_stands_alone(path: Path) -> None:
    text = path.read_text("utf-8")
    for bracket, name in re.findall(r"^\s*#\s*include\s*([<\"])([^>\"]+)", text, re.MULTILINE):
        if bracket == "<":
            assert name in C_HEADERS, f"{path.name} includes <{name}>"
        else:
            assert (CSRC / name).exists() and name.endswith(".h"), f"{path.name} includes {name}"
    assert not re.search(r"\b(malloc|calloc|realloc|free|printf|fopen|PyObject)\s*\(", text)


@pytest.mark.parametrize(
    ("path", "line", "reached"),
    [
        ("fields.py", "from . import errors", {"errors"}),
        ("fields.py", "from .errors import DecodeError", {"errors"}),
        ("fields.py", "from . import errors, nothing", {"errors", ""}),
        ("fields.py", "import framewire", {""}),
        ("fields.py", "import struct, framewire.errors", {"errors"}),
        ("fields.py", "def f():\n    from framewire import _backend", {"_backend"}),
        ("_pure/codec.py", "from .. import errors", {"errors"}),
        ("_pure/codec.py", "from ..errors import Truncated", {"errors"}),
        ("_native/x.pyx", "from .codec cimport Decoder", {"_native.codec"}),
        ("_native/x.pyx", "    from framewire.errors import DecodeError  # why", {"errors"}),
        ("_native/x.pyx", "cimport cython\nimport struct", set()),
    ],
)
def test_what_counts_as_an_import(
    path: str, line: str, reached: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("errors.py", "_backend.py", "fields.py", "_native/codec.pyx", "_pure/codec.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    (tmp_path / path).write_text(line)
    assert imports(tmp_path / path) == reached
