"""Twelve mistakes that a house like this is known to make, each behind a switch, for the laws to find.

Nothing of this is in the house: a context manager puts the mistake into its place and takes it out
again. Beside each stands the mix of faults in which it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Final, cast
from uuid import UUID

from compute.agent import Agent
from compute.dispatch import Dispatch
from conductor import step
from conductor.relay import Relay
from conductor.states import States
from conductor.wiring import Conductor
from conductor.worker import Worker
from events import seal
from events.events_patch import *  # noqa: F403
