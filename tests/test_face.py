"""What users see: the names, the docstrings with their examples, the stubs, and what an import costs."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import os
import subprocess
import sys
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import framewire as fw
from framewire import _backend

PACKAGE = Path(fw.__file__).parent
WIDTHS = (8, 16, 24, 32, 40, 48, 56, 64)
INTEGERS = {f"{sign}{width}" for sign in "ui" for width in WIDTHS}
# Frozen: a name that leaves this list breaks someone's program, one that joins it stays for good.
NAMES = {
    *("Decoder", "Encoder", "backend", "byteorder", "protocols", "framing", "Protocol"),
    *("FramewireError", "DeclarationError", "EncodeError", "DecodeError", "FrameTooLarge", "MalformedFrame"),
    *("RecordError", "EndOfStream", "Truncated", "ConnectionClosed", "ConnectionLost", "Timeout"),
    *("ConcurrencyError", "Server", "ServerStats", "serve"),
    *("LengthType", "leb128", "digits", "hexdigits", "tiered", "varint", "vlq", "quicvarint", "ber"),
    *("varint32", "zigzag", "zigzag32", "sleb128", "compactsize", "derlength"),
    *INTEGERS,
    *(f"{name}le" for name in INTEGERS if not name.endswith("8") or name.endswith("48")),
    *("Framing", "FixedLength", "LengthPrefixed", "Netstring", "Delimited", "Lines", "Tagged", "Preamble"),
    *("UntilEOF", "Custom", "SLIP", "HDLC", "COBS", "HeaderBlock", "Chunked", "Enclosed"),
    *("StreamDecoder", "FrameStart", "FrameEnd"),
    *("LineCounted", "RESP", "FIX"),
    *("MessageListener", "MessageSocket", "Stats", "connect", "listen"),
    *("reconnect", "socketpair", "spawn", "stdio"),
    *(
        "Record",
        "Messages",
        "Packer",
        "Reader",
        "Writer",
        "Struct",
        "record",
        "enumerated",
        "FieldType",
        "f16",
        "f32",
        "f64",
        "f16le",
        "f32le",
        "f64le",
        "rest",
        "const",
        "pad",
        "HeaderFramed",
        "oneof",
        "when",
        "bits",
        "size",
    ),
    *("string", "binary", "view", "cstring", "cstr", "fixed", "list_of", "array_of", "repeat", "codec"),
    *(
        f"{family}_{size}"
        for family in ("str", "bytes", "view", "list", "array")
        for size in ("u8", "u16", "u32", "varint")
    ),
}
SOURCES = sorted(
    path for path in PACKAGE.rglob("*.py") if "__main__" not in path.name and "_native" not in path.parts
)
MODULES = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in SOURCES]
MODULES = [name.removesuffix(".__init__") for name in MODULES]
TWINS = (
    "byteorder",
    "records",
    "messages",
    "packers",
    "cursors",
    "structs",
    "codec",
    "encoder",
    "stream",
    "sending",
    "receiving",
    "channel",
    "protocol",
)
try:
    NATIVE: Any = _backend.load("native")
except ImportError:
    NATIVE = None
needs_native = pytest.mark.skipif(NATIVE is None, reason="built without the extension")


def python(code: str, **variables: str) -> str:
    kept = {key: value for key, value in os.environ.items() if key != "FRAMEWIRE_BACKEND"}
    path = os.pathsep.join([str(PACKAGE.parent), kept.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "PYTHONPATH": path, **variables},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.strip()


# --- names ----------------------------------------------------------------------------------------------


def test_the_names_are_frozen() -> None:
    assert set(fw.__all__) == NAMES
    assert len(fw.__all__) == len(NAMES) <= 175, "a name twice"
    for name in NAMES:
        assert getattr(fw, name) is not None
    public = {name for name, value in vars(fw).items() if not name.startswith("_")}
    modules = {name for name in public if isinstance(getattr(fw, name), types.ModuleType)}
    assert public - modules == NAMES - {"byteorder", "protocols"}
    assert fw.__version__.count(".") >= 1


def test_each_name_comes_from_one_module() -> None:
    seen: dict[str, str] = {}
    public = (
        "errors",
        "fields",
        "sequences",
        "framings",
        "stuffed",
        "text",
        "streaming",
        "structure",
        "protocols",
        "sockets",
        "server",
        "records",
        "packers",
        "cursors",
        "headerframed",
        "byteorder",
    )
    for module in (*public, "talk"):
        importlib.import_module(f"framewire.{module}")
        names = sys.modules[f"framewire.{module}"].__all__
        assert len(set(names)) == len(names), module
        for name in names:
            assert seen.setdefault(name, module) == module, f"{name} is in {seen[name]} and {module}"
            assert getattr(sys.modules[f"framewire.{module}"], name) is getattr(
                fw if module != "byteorder" else fw.byteorder, name
            )


def test_type_checkers_read_the_same_list() -> None:
    tree = ast.parse((PACKAGE / "fields.py").read_text())
    listed: list[str] = []
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AugAssign)):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id == "__all__":
                listed += ast.literal_eval(node.value)
    from framewire import fields

    assert listed == fields.__all__
    assert set(fields.NAMED) <= set(listed)
    annotated = {
        node.target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert set(fields.NAMED) <= annotated


# --- imports --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES)
def test_every_module_imports_alone(module: str) -> None:
    python(f"import {module}")


@pytest.mark.parametrize("chosen", ["auto", "pure"])
def test_an_import_loads_little(chosen: str) -> None:
    code = """
import sys
before = set(sys.modules)
import framewire
print(*sorted(set(sys.modules) - before))
"""
    loaded = set(python(code, FRAMEWIRE_BACKEND=chosen).split())
    heavy = {"asyncio", "ssl", "dataclasses", "logging", "importlib.metadata", "typing", "typing_extensions"}
    heavy |= {"inspect", "difflib", "json", "argparse", "ctypes", "framewire.cli"}
    assert loaded & heavy == set()
    assert ("framewire._pure.codec" in loaded) != ("framewire._native.codec" in loaded), "never both"


def test_star_import() -> None:
    count = python("from framewire import *; print(len([n for n in dir() if not n.startswith('_')]))")
    assert int(count) == len(NAMES)


# --- docstrings -----------------------------------------------------------------------------------------

EXAMPLES = """
import doctest, importlib, sys
import framewire as fw
failed = tried = 0
modules = [importlib.import_module(name) for name in sys.argv[1:]]
objects = [(f"{m.__name__}.{n}", getattr(m, n)) for m in modules for n in getattr(m, "__all__", dir(m))]
objects += [(m.__name__, m) for m in modules]
seen = set()
runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
def texts(name, item):
    if id(item) in seen:
        return
    seen.add(id(item))
    yield name, getattr(item, "__doc__", None)
    if isinstance(item, type):
        for key, member in vars(item).items():
            yield from texts(f"{name}.{key}", member)
for name, item in objects:
    place = name if item in modules else getattr(item, "__module__", None) or name.rpartition(".")[0]
    globs = dict(vars(sys.modules[place]))
    for place, text in texts(name, item):
        if isinstance(text, str) and ">>>" in text:
            test = doctest.DocTestParser().get_doctest(text, dict(globs), place, None, 0)
            result = runner.run(test)
            failed, tried = failed + result.failed, tried + result.attempted
print(fw.backend, failed, tried)
"""


@pytest.mark.parametrize("name", ["native", "pure"])
def test_the_examples_run_on_both_backends(name: str) -> None:
    if name == "native" and NATIVE is None:
        pytest.skip("built without the extension")
    public = [
        "errors",
        "fields",
        "structure",
        "sequences",
        "framings",
        "protocols",
        "records",
        "packers",
        "cursors",
        "headerframed",
        "byteorder",
        f"_{name}.byteorder",
        f"_{name}.codec",
    ]
    code = f"import sys\nsys.argv[1:] = {[f'framewire.{module}' for module in public]}\n" + EXAMPLES
    chosen, failed, tried = python(code, FRAMEWIRE_BACKEND=name).splitlines()[-1].split()
    assert (chosen, failed) == (name, "0") and int(tried) > 80


@pytest.mark.parametrize("name", sorted(NAMES - {"backend", "byteorder"}))
def test_everything_public_is_documented_with_an_example(name: str) -> None:
    item = getattr(fw, name)
    documented = type(item) if isinstance(item, (fw.LengthType, fw.FieldType)) else item
    text = inspect.getdoc(documented) or ""
    assert text and not text.startswith(f"{name}("), "a docstring of its own"
    if name not in ("connect", "listen", "MessageSocket", "MessageListener"):
        assert ">>> " in text
    if isinstance(documented, type):
        for key, member in vars(documented).items():
            if not key.startswith("_") and (callable(member) or isinstance(member, property)):
                assert inspect.getdoc(member), f"{name}.{key}"


def test_byteorder_is_documented() -> None:
    for name in fw.byteorder.__all__:
        assert inspect.getdoc(getattr(fw.byteorder, name)), name


# --- twins and stubs ------------------------------------------------------------------------------------


def members(cls: type, fields: Iterable[str] = ()) -> dict[str, Any]:
    return {key: value for key, value in vars(cls).items() if not key.startswith("_") and key not in fields}


def shape(function: Any) -> list[tuple[str, Any, Any]]:
    """Names, kinds and defaults of the parameters; a property has none."""
    if not callable(function):
        return []
    parameters = inspect.signature(function).parameters.values()
    # Each twin has an object() of its own that stands for "not given".
    return [
        (p.name, p.kind, object if type(p.default) is object else p.default)
        for p in parameters
        if p.name != "self"
    ]


@needs_native
@pytest.mark.parametrize("module", TWINS)
def test_the_twins_have_the_same_names_and_parameters(module: str) -> None:
    native, pure = (importlib.import_module(f"framewire._{side}.{module}") for side in ("native", "pure"))
    names = set(getattr(native, "__all__", fw.byteorder.__all__))
    assert names <= set(vars(pure))
    for name in names:
        ours, theirs = getattr(native, name), getattr(pure, name)
        assert inspect.getdoc(ours) == inspect.getdoc(theirs), name
        if not isinstance(ours, type):
            assert shape(ours) == shape(theirs), name
            continue
        fields = inspect.get_annotations(theirs)
        twin = members(theirs, fields)
        assert set(members(ours, fields)) == set(twin), name
        for key, member in members(ours, fields).items():
            assert shape(member) == shape(twin[key]), f"{name}.{key}"
            assert inspect.getdoc(member) == inspect.getdoc(twin[key]), f"{name}.{key}"


@pytest.mark.parametrize("module", TWINS)
def test_the_stubs_are_what_the_pure_twin_declares(module: str) -> None:
    stub = ast.parse((PACKAGE / f"_native/{module}.pyi").read_text())
    pure = ast.parse((PACKAGE / f"_pure/{module}.py").read_text())

    def declared(tree: ast.AST) -> dict[str, str]:
        found: dict[str, str] = {}
        for node in ast.iter_child_nodes(tree):
            if isinstance(node, ast.FunctionDef):
                is_property = any(ast.unparse(one) == "property" for one in node.decorator_list)
                kind = "property " if is_property else ""
                text = f"{kind}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}"  # type: ignore[arg-type]
                found[node.name] = text.replace("=DEFAULT", "=...").replace("_T", "T")
            elif isinstance(node, ast.ClassDef):
                found |= {f"{node.name}.{key}": value for key, value in declared(node).items()}
        return found

    ours, theirs = declared(stub), declared(pure)
    assert {key: theirs.get(key, value) for key, value in ours.items()} == ours
    classes = {node.name for node in stub.body if isinstance(node, ast.ClassDef)}
    public = {key for key in theirs if "._" not in key or key.endswith("__init__")}
    assert not {key for key in public - set(ours) if key.split(".")[0] in classes and "." in key}


def test_doctest_would_notice() -> None:
    test = doctest.DocTestParser().get_doctest(">>> 1\n2\n", {}, "x", None, 0)
    assert doctest.DocTestRunner(verbose=False).run(test, out=lambda text: None).failed == 1
