"""The hub that models are downloaded from: asked only where it can be reached, so that nobody waits for retries.

Its client comes with timm.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from huggingface_hub import constants


def resolves(host: str) -> bool:
    """Whether the address of a host is known, or a proxy would look for it.

    Examples
    --------
    >>> resolves("localhost"), resolves("no-such-host.invalid")
    (True, False)
    """
    if any(name.lower() in ("https_proxy", "all_proxy") for name in os.environ):
        return True
    try:
        return bool(socket.getaddrinfo(host, 443))
    except OSError:
        return False


@contextmanager
def hub_if_reachable() -> Iterator[None]:
    """Let libraries look for files on this machine alone where the hub cannot be reached; raise OSError if they are not here.

    Otherwise they would ask several times for each file, and print each time.
    """
    host = urlsplit(constants.ENDPOINT).hostname or ""
    if constants.HF_HUB_OFFLINE or resolves(host):
        yield
        return
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    except OSError as error:
        raise ConnectionError(f"{host} cannot be reached") from error
    finally:
        constants.HF_HUB_OFFLINE = False
