"""A `visual-summaries` for tests that type many commands: libraries are imported once, each command is a fork of that process.

Every command still is a process of its own, with its own working folder, environment, output and exit status; only the seconds
that importing the libraries takes are saved. What the installed command does is in tests/test_cli.py.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

CLIENT = """#!{python} -IS
import array, json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
given = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
streams = array.array("i", [0, 1, 2])
server.sendmsg([len(given).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
server.sendall(given)
sys.exit(int(server.recv(8) or b"70"))
"""


@contextlib.contextmanager
def preloaded_command(folder: Path) -> Iterator[Path]:
    """Start the process and put the command into `folder`; gives the folder to have on the PATH."""
    folder.mkdir()
    address = str(folder / "socket")
    command = folder / "visual-summaries"
    command.write_text(CLIENT.format(python=sys.executable, address=address))
    command.chmod(0o755)
    server = subprocess.Popen([sys.executable, __file__, address])
    try:
        while not Path(address).exists():
            assert server.poll() is None, "the process that the commands are forked from ended"
            time.sleep(0.05)
        yield folder
    finally:
        server.terminate()
        server.wait()


def serve(address: str) -> None:
    """Import everything, then fork for each connection."""
    import cv2  # noqa: F401
    import skimage.segmentation  # noqa: F401
    import sklearn.manifold  # noqa: F401
    import timm  # noqa: F401

    import visual_summaries.compare
    import visual_summaries.demo
    import visual_summaries.pages.figures
    import visual_summaries.study
    import visual_summaries.tags  # noqa: F401
    from visual_summaries.cli import main

    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address + ".new")
    listener.listen()
    Path(address + ".new").rename(address)
    while True:
        client, _ = listener.accept()
        arguments, where, environment, streams = _receive(client)
        child = os.fork()
        if child == 0:
            listener.close()
            for target, stream in enumerate(streams):
                os.dup2(stream, target)
            os.chdir(where)
            os.environ.clear()
            os.environ.update(environment)
            sys.argv = ["visual-summaries", *arguments]
            status = 70
            try:
                status = main(arguments)
            except BaseException:  # noqa: BLE001 - whatever it is, it is shown and is a failure
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(child, 0)
        client.sendall(str(os.waitstatus_to_exitcode(status) % 256).encode())
        client.close()


def _receive(client: socket.socket) -> tuple[list[str], str, dict[str, str], list[int]]:
    streams = array.array("i")
    head, ancillary, _, _ = client.recvmsg(8, socket.CMSG_SPACE(3 * streams.itemsize))
    for _, _, data in ancillary:
        streams.frombytes(data)
    size, text = int.from_bytes(head, "big"), b""
    while len(text) < size:
        text += client.recv(size - len(text))
    arguments, where, environment = json.loads(text)
    return arguments, where, environment, list(streams)


if __name__ == "__main__":
    serve(sys.argv[1])
