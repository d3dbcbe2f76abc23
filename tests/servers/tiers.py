"""Which servers this machine can give to tests: a Docker daemon, programs on the path, free ports.

Docker is asked with a short timeout, so that a machine without a daemon loses no time; whether an
image can be had is asked before anything is started.
"""

from __future__ import annotations

import gc
import logging
import os
import socket
import warnings
from functools import cache

from docker.errors import DockerException  # type: ignore[import-untyped] # ships no types
from testcontainers.core.docker_client import DockerClient

DOCKER_PING_S = 2
DOCKER_PULL_S = 600

#: Choose by hand: `containers` or `local`; unset takes containers where a Docker daemon answers.
TIER_VARIABLE = "REGENTE_TEST_TIER"


class TierMissing(Exception):
    """This machine has no way to run the server; the message says what to install."""


@cache
def is_docker_here(image: str) -> bool:
    """Say whether a Docker daemon answers and holds, or can make or pull, the image."""
    wanted = os.environ.get(TIER_VARIABLE)
    if wanted == "local":
        return False
    if not _does_docker_answer():
        if wanted == "containers":
            raise TierMissing(f"Expected a Docker daemon for {image}, but none answers: start one.")
        return False
    images = DockerClient(timeout=DOCKER_PULL_S).client.images
    try:
        if not images.list(name=image) and not _made_here(image):
            images.pull(image)
    except DockerException as error:
        if wanted == "containers":
            raise TierMissing(f"Expected to pull {image}, but {error}") from error
        logging.getLogger(__name__).warning("Docker answers, but has no %s: %s", image, error)
        return False
    return True


def _made_here(image: str) -> bool:
    """Make the image, where it is one that we make."""
    # Imported here: it asks for the jars, and for what only a container needs.
    from tests.servers.images.build import build, images

    found = next((each for each in images() if each.name == image), None)
    if found is not None:
        build(found)
    return found is not None


def free_ports(count: int) -> list[int]:
    """Return TCP ports of 127.0.0.1 that nobody listened on a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


@cache
def _does_docker_answer() -> bool:
    with warnings.catch_warnings():
        # docker-py forgets to close the socket of a connection that was refused.
        warnings.simplefilter("ignore", ResourceWarning)
        answers = _ping()
        gc.collect()
    return answers


def _ping() -> bool:
    try:
        return bool(DockerClient(timeout=DOCKER_PING_S).client.ping())
    except (DockerException, OSError):
        return False
