"""Build the native backend: everything else about the package is in pyproject.toml.

FRAMEWIRE_BUILD_EXTENSION=auto  build it where a C compiler works, else a pure package that says so (default)
                         =yes   fail without it                    =no   do not try
FRAMEWIRE_SANITIZE=1            build it under AddressSanitizer and UndefinedBehaviorSanitizer

The extensions are plain and name their .pyx: cythonize() would drop `optional`, and put generated C into the
sdist in place of the sources.
"""

import os
import sys
from glob import glob
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

CORE = [
    "csrc/fw_scan.c",
    "csrc/fw_head.c",
    "csrc/fw_stuff.c",
    "csrc/fw_talk.c",
    "csrc/fw_text.c",
    "csrc/fw_fragments.c",
    "csrc/fw_enclosed.c",
    "csrc/fw_dotted.c",
]
RECORD = ["csrc/fw_record.c", "csrc/fw_swap.c"]
MODULES = {
    "framewire._native.byteorder": ["src/framewire/_native/byteorder.pyx", "csrc/fw_swap.c"],
    "framewire._native.plan": ["src/framewire/_native/plan.pyx", *CORE],
    "framewire._native.encoder": ["src/framewire/_native/encoder.pyx", *CORE],
    "framewire._native.codec": ["src/framewire/_native/codec.pyx", *CORE],
    "framewire._native.shape": ["src/framewire/_native/shape.pyx"],
    "framewire._native.unpacking": ["src/framewire/_native/unpacking.pyx", *RECORD],
    "framewire._native.packing": ["src/framewire/_native/packing.pyx", "csrc/fw_swap.c"],
    "framewire._native.records": ["src/framewire/_native/records.pyx"],
    "framewire._native.messages": ["src/framewire/_native/messages.pyx"],
    "framewire._native.packers": ["src/framewire/_native/packers.pyx"],
    "framewire._native.cursors": ["src/framewire/_native/cursors.pyx"],
    "framewire._native.structs": ["src/framewire/_native/structs.pyx"],
    "framewire._native.stream": ["src/framewire/_native/stream.pyx"],
    "framewire._native.sending": ["src/framewire/_native/sending.pyx", *CORE],
    "framewire._native.receiving": ["src/framewire/_native/receiving.pyx"],
    "framewire._native.channel": ["src/framewire/_native/channel.pyx"],
    "framewire._native.protocol": ["src/framewire/_native/protocol.pyx"],
}
BUILD = os.environ.get("FRAMEWIRE_BUILD_EXTENSION", "auto")
if BUILD not in ("auto", "yes", "no"):
    raise SystemExit(f"FRAMEWIRE_BUILD_EXTENSION={BUILD!r}: it takes auto, yes or no")

LINK = []
if sys.platform == "win32":
    COMPILE = ["/O2", "/std:c11"]
elif os.environ.get("FRAMEWIRE_SANITIZE") == "1":
    LINK = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    COMPILE = ["-O1", "-g", "-std=c11", "-fno-omit-frame-pointer", *LINK]
else:
    # Without the alignment, a change anywhere in a file moves its hot loops by up to a tenth of their speed.
    ALIGNED = ["-falign-functions=64", "-falign-loops=32"]
    COMPILE = ["-O3", "-g0", "-std=c11", "-fvisibility=hidden", *ALIGNED]


class FreshExtensions(build_ext):
    """Forget earlier builds first, so that a failed build, or other flags, can never ship an old module."""

    def run(self) -> None:
        roots = [self.build_lib, *(["src"] if self.inplace else [])]
        files = {e.name: self.get_ext_filename(self.get_ext_fullname(e.name)) for e in self.extensions}
        for root in roots:
            for file in files.values():
                Path(root, file).unlink(missing_ok=True)
        super().run()
        missing = [name for name, file in files.items() if not Path(roots[-1], file).exists()]
        if missing:
            print(
                f"\n*** framewire: no {', '.join(missing)}: could not be compiled (the errors are above).\n"
                "*** The package works without, in pure Python, many times slower.\n"
                "*** FRAMEWIRE_BUILD_EXTENSION=yes makes this an error, =no asks for it.\n",
                file=sys.stderr,
            )


class HonestWheel(bdist_wheel):
    """A wheel in which nothing was compiled runs anywhere: an interpreter's tag would be a false promise,
    and pip would keep such a wheel in its cache after a compiler has been installed."""

    def get_tag(self) -> tuple[str, str, str]:
        built = [path for end in ("so", "pyd") for path in Path(self.bdist_dir or "").rglob(f"*.{end}")]
        return super().get_tag() if built else ("py3", "none", "any")


setup(
    ext_modules=[]
    if BUILD == "no" or (BUILD == "auto" and sys.implementation.name != "cpython")
    else [
        Extension(
            name,
            sources,
            include_dirs=["csrc"],
            depends=sorted(glob("csrc/*.h")),
            extra_compile_args=COMPILE,
            extra_link_args=LINK,
            optional=BUILD == "auto",
        )
        for name, sources in MODULES.items()
    ],
    cmdclass={"build_ext": FreshExtensions, "bdist_wheel": HonestWheel},
)
