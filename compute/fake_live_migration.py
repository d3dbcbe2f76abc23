"""How the fake driver migrates a guest live: copy, steering, switch, post-copy."""

from __future__ import annotations

from typing import Final

from compute.fake_attachments import activate
from compute.fake_site import Failure, FailureKind, Operation, Site, Steering, check, failed
from compute.hypervisor import PowerState
from compute.world import Half, Role
from events import commands as c
from events import migration as m

MIB: Final = 1024 * 1024


class LiveMigration:
    """The copy of a guest's memory, and its switch to the other host."""

    def __init__(
        self, site: Site, instance_id: str, command: c.LiveMigrateGuest, steering: Steering
    ) -> None:
        self._site = site
        self._instance_id = instance_id
        self._command = command
        self._steering = steering
        self._destination = command.destination

    def steps(self) -> Operation:
        """Copy, and hand the guest over; or say why not."""
        if problem := self._problem():
            yield (m.LiveMigrationFailed(reason=problem),)
            return
        yield (m.LiveMigrationStarted(),)
        for done in range(1, self._site.copy_polls + 1):
            failure = yield from check(self._site, self._instance_id, self._command, ".copy")
            if ending := self._ending(failure):
                yield (ending,)
                return
            if failure or (self._steering.is_forced and self._site.permits_post_copy):
                yield from self._post_copy()
                return
            if self._steering.is_forced:
                self._freeze()
                break
            yield (self._progress(done),)
        failure = yield from check(self._site, self._instance_id, self._command, ".switch")
        if ending := self._ending(failure):
            yield (ending,)
            return
        yield from self._post_copy() if failure else self._hand_over()

    def _ending(self, failure: Failure | None) -> object | None:
        """Return the fact that ends the copy here, the guest put back; None where it goes on."""
        ending: object | None = None
        if self._steering.is_aborted:
            ending = m.LiveMigrationAborted(reason="aborted on request")
        elif problem := self._problem():
            ending = m.LiveMigrationFailed(reason=problem)
        elif failure and failure.kind is not FailureKind.POST_COPY:
            ending = failed(self._command, None, failure.reason, failure.kind)
        source = self._half(self._site.host)
        if ending and source and source.resume_to is not None:
            self._site.world.change(source.becomes(power_state=source.resume_to))
        return ending

    def _problem(self) -> str | None:
        source, destination = self._half(self._site.host), self._half(self._destination)
        if source is None or source.role is not Role.GUEST:
            return f"there is no guest on {self._site.host}"
        if source.power_state not in (PowerState.RUNNING, PowerState.PAUSED):
            return f"the guest does not run: power state {int(source.power_state)}"
        if destination is None or destination.role is not Role.INCOMING:
            return f"{self._destination} does not wait for the guest"
        return None

    def _half(self, host: str) -> Half | None:
        return self._site.world.half(host, self._instance_id)

    def _both(self) -> tuple[Half, Half]:
        source, destination = self._half(self._site.host), self._half(self._destination)
        assert source, f"Expected a half on {self._site.host}, but it has none"
        assert destination, f"Expected a half on {self._destination}, but it has none"
        return source, destination

    def _freeze(self) -> None:
        source, _ = self._both()
        if source.power_state is PowerState.RUNNING:
            frozen = source.becomes(power_state=PowerState.PAUSED, resume_to=PowerState.RUNNING)
            self._site.world.change(frozen)

    def _progress(self, done: int) -> m.LiveMigrationProgressed:
        source, _ = self._both()
        total = source.flavor.memory_mb * MIB
        processed = total * done // self._site.copy_polls
        return m.LiveMigrationProgressed(
            memory_total=total,
            memory_processed=processed,
            memory_remaining=total - processed,
            disk_total=0,
            disk_processed=0,
            disk_remaining=0,
        )

    def _post_copy(self) -> Operation:
        self._steering.is_final = True
        self._switch(Role.LEAVING, PowerState.PAUSED)
        yield (m.PostCopyStarted(),)
        source = self._half(self._site.host)
        if source:
            self._site.world.change(source.becomes(role=Role.LEFT, power_state=PowerState.SHUTDOWN))
        yield (m.GuestHandedOver(),)

    def _hand_over(self) -> Operation:
        self._steering.is_final = True
        self._switch(Role.LEFT, PowerState.SHUTDOWN)
        yield (m.GuestHandedOver(),)

    def _switch(self, role: Role, power_state: PowerState) -> None:
        source, destination = self._both()
        power = source.power_state if source.resume_to is None else source.resume_to
        activate(
            self._site.world, self._instance_id, here=self._destination, no_more=self._site.host
        )
        self._site.world.change(
            source.becomes(role=role, power_state=power_state),
            destination.becomes(role=Role.ARRIVED, power_state=power, flavor=source.flavor),
        )
