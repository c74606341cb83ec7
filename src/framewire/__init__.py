"""Messages over byte streams: every framing, C speed, one API.

>>> import framewire as fw
>>> framing = fw.LengthPrefixed(fw.u32)
>>> framing.encode(b"hello")
b'\\x00\\x00\\x00\\x05hello'
>>> framing.decoder().decode(b"\\0\\0\\0\\5hello\\0\\0\\0")
[b'hello']

`backend` says which engine runs, "native" (C) or "pure" (Python); FRAMEWIRE_BACKEND chooses.
"""

from . import _backend, byteorder, protocols
from . import enclosed as _enclosed
from . import errors as _errors
from . import fields as _fields
from . import framings as _framings
from . import sequences as _sequences
from . import sockets as _sockets
from . import streaming as _streaming
from . import structure as _structure
from . import stuffed as _stuffed
from . import talk as _talk
from . import text as _headed
from ._backend import name as backend
from ._version import __version__ as __version__
from .enclosed import *  # noqa: F403
from .errors import *  # noqa: F403
from .fields import *  # noqa: F403
from .framings import *  # noqa: F403
from .protocols import *  # noqa: F403
from .sequences import *  # noqa: F403
from .sockets import *  # noqa: F403
from .streaming import *  # noqa: F403
from .structure import *  # noqa: F403
from .stuffed import *  # noqa: F403
from .talk import *  # noqa: F403
from .text import *  # noqa: F403

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import aio as aio
    from .cursors import *  # noqa: F403
    from .headerframed import *  # noqa: F403
    from .packers import *  # noqa: F403
    from .records import *  # noqa: F403
    from .server import *  # noqa: F403
else:

    def __getattr__(name: str) -> object:
        """What not every program needs is loaded on first use."""
        if name == "aio":
            from importlib import import_module

            return import_module(f"{__name__}.aio")
        if name in ("Record", "Messages"):
            from . import records as module
        elif name in ("Reader", "Writer"):
            from . import cursors as module
        elif name in ("Packer", "Struct", "record"):
            from . import packers as module
        elif name == "HeaderFramed":
            from . import headerframed as module
        elif name in ("Server", "ServerStats", "serve"):
            from . import server as module
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals().setdefault(name, getattr(module, name))


del TYPE_CHECKING
Decoder = _backend.codec.Decoder
Encoder = _backend.codec.Encoder

__all__ = ["Decoder", "Encoder", "backend", "byteorder", "protocols"]
__all__ += _errors.__all__
__all__ += _fields.__all__
__all__ += _structure.__all__
__all__ += _framings.__all__
__all__ += _sequences.__all__
__all__ += _stuffed.__all__
__all__ += _talk.__all__
__all__ += _headed.__all__
__all__ += _enclosed.__all__
__all__ += _streaming.__all__
__all__ += protocols.__all__
__all__ += _sockets.__all__
__all__ += ["Server", "ServerStats", "serve", "Record", "Messages"]  # noqa: F405
__all__ += ["HeaderFramed", "Packer", "Reader", "Struct", "Writer", "record"]  # noqa: F405
