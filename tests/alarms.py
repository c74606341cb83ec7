"""Signals at any moment: a handler that runs, and may raise, between any two steps of what is tested."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable


class Interrupted(Exception):
    """Raised by the handler."""


class Alarms:
    """A signal every `period` seconds, to the thread that entered, while it lasts.

    Not from a timer of the process: pytest's own time-out needs that."""

    def __init__(self, period: float = 0.001) -> None:
        self.period = period
        self.rung = self.raised = 0
        self._armed = False
        self._stop = threading.Event()

    def _handler(self, *_: object) -> None:
        self.rung += 1
        if self._armed:
            self._armed = False
            self.raised += 1
            raise Interrupted

    def during(self, call: Callable[..., object], *args: object) -> bool:
        """Call, and let a handler raise in it, once; whether it ran to its end.

        The handler may raise as late as in the `finally`, in place of an error of the call's own."""
        try:
            self._armed = True
            try:
                call(*args)
            finally:
                self._armed = False
        except Interrupted:
            return False
        return True

    def _ring(self, target: int) -> None:
        while not self._stop.wait(self.period):
            signal.pthread_kill(target, signal.SIGUSR1)

    def __enter__(self) -> Alarms:
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(self.period / 4)  # or what is tested would be over before a signal is sent
        self._old = signal.signal(signal.SIGUSR1, self._handler)
        self._thread = threading.Thread(target=self._ring, args=(threading.get_ident(),))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        signal.signal(signal.SIGUSR1, self._old)
        sys.setswitchinterval(self._interval)
