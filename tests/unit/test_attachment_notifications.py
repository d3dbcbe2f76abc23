"""What nova's notifications say of side actions that no recording shows: swaps, ports, errors."""

from __future__ import annotations

import pytest

from compute.fake_site import Failure
from conductor.notifications.telling import Manner, notices_of
from events.nova_wire import Notice
from tests.parts import NETWORK, OTHER_VOLUME, VOLUME
from tests.plays import build
from tests.recordings import data_of
from tests.stage import Stage

MANNER = Manner(notify_on_state_change=None)


def told(stage: Stage) -> list[Notice]:
    """Return what is told of everything that was played."""
    return [n for p in stage.accepted() for n in notices_of(p.envelope, p.outcome, MANNER)]


def played(action: str, breaks: str | None = None, **arguments: str) -> list[Notice]:
    """Return what is told of an action on a guest that has a volume."""
    stage = Stage()
    stage.settle()
    build("host1")(stage)
    stage.ask("attach_volume", arguments={"volume_id": VOLUME})
    stage.settle()
    stage.begin()
    if breaks is not None:
        stage.fails("host1", breaks, Failure(reason="target busy"))
    stage.ask(action, arguments=arguments)
    stage.settle()
    return told(stage)


def test_a_swap_names_both_volumes() -> None:
    start, end = played("swap_volume", old_volume_id=VOLUME, new_volume_id=OTHER_VOLUME)

    assert [n.event_type for n in (start, end)] == [
        "instance.volume_swap.start",
        "instance.volume_swap.end",
    ]
    data = data_of({"payload": end.payload})
    assert (data["old_volume_id"], data["new_volume_id"]) == (VOLUME, OTHER_VOLUME)


def test_an_interface_is_attached_under_novas_names() -> None:
    notices = played("attach_interface", net_id=NETWORK)

    assert [(n.event_type, n.publisher_id) for n in notices] == [
        ("instance.interface_attach.start", "nova-compute:host1"),
        ("instance.interface_attach.end", "nova-compute:host1"),
    ]


@pytest.mark.parametrize(
    ("action", "command", "event", "arguments"),
    [
        (
            "attach_volume",
            "AttachVolume",
            "instance.volume_attach",
            {"volume_id": OTHER_VOLUME},
        ),
        (
            "swap_volume",
            "SwapVolume",
            "instance.volume_swap",
            {"old_volume_id": VOLUME, "new_volume_id": OTHER_VOLUME},
        ),
        (
            "attach_interface",
            "AttachInterface",
            "instance.interface_attach",
            {"net_id": NETWORK},
        ),
    ],
)
def test_an_error_has_its_fault(
    action: str, command: str, event: str, arguments: dict[str, str]
) -> None:
    start, error = played(action, command, **arguments)

    assert (start.event_type, error.event_type) == (f"{event}.start", f"{event}.error")
    fault = data_of({"payload": error.payload})["fault"]["nova_object.data"]
    assert fault["exception_message"] == "target busy"


def test_nova_says_nothing_of_a_detach_that_fails() -> None:
    (start,) = played("detach_volume", "DetachVolume", volume_id=VOLUME)

    assert start.event_type == "instance.volume_detach.start"


def test_of_addresses_nova_says_nothing() -> None:
    assert played("inject_network_info") == []
