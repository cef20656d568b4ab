"""Ctrl-C, and the signal by which schedulers end a program: stop within two seconds, and say how to continue.

Pieces of a run are whole or absent whenever the process ends, so that stopping needs no preparation. What takes time is that
Python hears of a signal only between its own instructions: one pass of a large network may last many seconds. A thread waits
for the signal beside it and ends the process when the main thread has not.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: Seconds that the main thread is given to end by itself.
PATIENCE = 1.2

#: Signals that end the program, and the exit codes that shells expect of it then.
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Stopped(BaseException):
    """Raised in the main thread by a signal; not KeyboardInterrupt, which the library of the command line answers itself."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = EXIT_CODES[signal.Signals(number)]
        self.message = message()


def message() -> str:
    """Return what to tell the user: how to continue, and where what is finished of a run is kept."""
    lock = sys.modules.get("visual_summaries.files.lock")  # not loaded: nothing has been begun
    folders = ", ".join(str(folder) for folder in getattr(lock, "HELD", []))
    kept = f"finished work is kept in {folders}; " if folders else ""
    return f"interrupted; {kept}run the same command again, with --resume if it computes runs"


@contextmanager
def stoppable() -> Iterator[None]:
    """End the program within two seconds of a signal, with a message and the exit code that shells expect."""
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    finished = threading.Event()
    before = {number: signal.signal(number, _stop) for number in EXIT_CODES}
    former = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reading, finished), daemon=True).start()
    try:
        yield
    except Stopped as stop:
        print(stop.message, file=sys.stderr, flush=True)
        # Threads of libraries may continue for a while: nothing waits for them.
        os._exit(stop.exit_code)
    finally:
        finished.set()
        signal.set_wakeup_fd(former)
        for number, handler in before.items():
            signal.signal(number, handler)
        writing.close()


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


def _watch(reading: socket.socket, finished: threading.Event) -> None:
    while received := reading.recv(1):
        number = received[0]
        if number in EXIT_CODES:
            text = message()
            if not finished.wait(PATIENCE):
                show_cursor = "\x1b[?25h" if os.isatty(2) else ""
                os.write(2, f"{show_cursor}\n{text}\n".encode())
                os._exit(EXIT_CODES[signal.Signals(number)])
    reading.close()
