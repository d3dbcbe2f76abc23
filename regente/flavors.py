"""Nova's default flavors, so that an instance can be asked for by a known size."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from events.requests import Flavor


def _flavor(name: str, vcpus: int, memory_mb: int, disk_gb: int) -> Flavor:
    return Flavor(name=name, vcpus=vcpus, memory_mb=memory_mb, disk_gb=disk_gb)


#: Name → size. The first five were nova's defaults until Newton; nano and micro are devstack's.
FLAVORS: Final[Mapping[str, Flavor]] = MappingProxyType(
    {
        flavor.name: flavor
        for flavor in (
            _flavor("m1.tiny", 1, 512, 1),
            _flavor("m1.small", 1, 2048, 20),
            _flavor("m1.medium", 2, 4096, 40),
            _flavor("m1.large", 4, 8192, 80),
            _flavor("m1.xlarge", 8, 16384, 160),
            _flavor("m1.nano", 1, 192, 1),
            _flavor("m1.micro", 1, 256, 1),
        )
    }
)
