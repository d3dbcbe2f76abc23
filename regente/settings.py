"""What an operator may set: names, units and defaults, and where each value in force comes from.

Environment over file over default. Names, units, defaults and groups are nova's where nova has
the option; its group DEFAULT is the top of the file (`[DEFAULT]` works too). Knows nothing of who
reads a setting; those that the fold obeys go into the log's control records first (`heart`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from events.topics import PARTITIONS_EMBEDDED, PARTITIONS_KAFKA

PREFIX: Final = "REGENTE_"
#: What stands between a group and an option in the name of an environment variable.
DELIMITER: Final = "__"

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Ratio = Annotated[float, Field(gt=0)]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Conductor(_Group):
    """`[conductor]`: the five options of nova's table."""

    workers: Positive = Field(
        default_factory=lambda: os.cpu_count() or 1,
        description="processes of this machine, each a member of the consumer group",
    )
    migrate_max_retries: int = Field(
        default=-1,
        ge=-1,
        description="hosts to try after the first in a live migration: -1 until none is left",
    )
    topic: str = Field(
        default="regente",
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="prefix of the topics",
    )
    use_local: bool | None = Field(
        default=None,
        description="everything on this machine's files; unset: yes, until a broker is configured",
    )
    manager: str = Field(
        default="conductor.wiring.Conductor",
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$",
        description="dotted path of the class that a worker runs",
    )


class Kafka(_Group):
    """`[kafka]`: where the brokers are, and how long we wait for them."""

    bootstrap_servers: str = Field(default="", description="host:port, comma separated")
    append_timeout: Ratio = Field(default=10.0, description="seconds until an append is given up")
    answer_timeout: Ratio = Field(default=10.0, description="seconds until a question is given up")
    session_timeout: Ratio = Field(default=10.0, description="seconds of silence of a dead member")
    replication_factor: int = Field(
        default=-1, ge=-1, description="replicas of the topics that we make; -1: as brokers have it"
    )
    fetcher: Literal["kafka-python", "librdkafka"] = Field(
        default="kafka-python", description="who fetches records; librdkafka is an extra"
    )
    client: dict[str, str | int | bool] = Field(
        default_factory=dict,
        description="more of the client's own settings: security_protocol, ssl_cafile …",
    )


class Database(_Group):
    """`[database]`."""

    connection: str = Field(
        default="",
        description="postgresql://… or sqlite:///…; empty: rows.sqlite in the state folder",
    )


class Topics(_Group):
    """`[topics]`."""

    partitions: Count = Field(
        default=0,
        description="partitions of the event topics, fixed when they are made; 0: the log's usual",
    )


class Scheduler(_Group):
    """`[scheduler]`."""

    max_attempts: Positive = Field(default=3, description="hosts tried in build, resize, migration")


class Libvirt(_Group):
    """`[libvirt]`."""

    live_migration_completion_timeout: Count = Field(
        default=800, description="seconds per GiB of memory; 0: no bound but step_max_s"
    )
    live_migration_timeout_action: Literal["abort", "force_complete"] = Field(
        default="abort", description="what that time-out does"
    )
    live_migration_permit_post_copy: bool = Field(
        default=False, description="force-complete switches to post-copy instead of pausing"
    )


class Workarounds(_Group):
    """`[workarounds]`."""

    handle_virt_lifecycle_events: bool = Field(
        default=True, description="answer at once when a guest's power changes by itself"
    )


class Saga(_Group):
    """`[saga]`: bounds of ours, where nova has none."""

    step_max_s: Positive = Field(default=7200, description="seconds: the ceiling of every wait")
    step_timeout: Count = Field(default=600, description="seconds of a short step; 0: the ceiling")
    move_timeout: Count = Field(default=0, description="seconds of a copying step; 0: the ceiling")
    live_migration_queue_timeout: Count = Field(
        default=0, description="seconds in a source's queue; 0: the ceiling"
    )


class Notifications(_Group):
    """`[notifications]`: nova's versioned notifications, sent by `regente notify`."""

    notification_format: Literal["unversioned", "versioned", "both"] = Field(
        default="unversioned",
        description="versioned, both: versioned ones are sent; unversioned: none, for we have none",
    )
    versioned_notifications_topics: str = Field(
        default="versioned_notifications",
        pattern=r"^[A-Za-z0-9._-]{1,100}(\s*,\s*[A-Za-z0-9._-]{1,100})*$",
        description="topics, comma separated; .info or .error comes after each",
    )
    notify_on_state_change: Literal["", "vm_state", "vm_and_task_state"] = Field(
        default="", description="changes for which instance.update is sent; empty: for none"
    )
    bdms_in_notifications: bool = Field(
        default=False, description="block_devices names the volumes of the guest"
    )
    connection: str = Field(
        default="",
        description="a database of its own; empty: notifications.sqlite in the state folder",
    )

    @property
    def is_on(self) -> bool:
        """Say whether versioned notifications are wanted."""
        return self.notification_format != "unversioned"

    @property
    def topics(self) -> tuple[str, ...]:
        """Return the topics, each by itself."""
        return tuple(part.strip() for part in self.versioned_notifications_topics.split(","))


class Settings(BaseSettings):
    """Every setting; those without a group are of nova's DEFAULT."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=DELIMITER, extra="forbid", frozen=True
    )

    state_dir: Path = Field(
        default=Path(".regente"), description="log, rows, keys and journals of this machine"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="trace output of the services"
    )

    service_down_time: Positive = Field(
        default=60, description="seconds without heartbeat after which a host counts as lost"
    )
    report_interval: Positive = Field(default=10, description="seconds between two heartbeats")
    long_rpc_timeout: Positive = Field(default=1800, description="seconds of a long answer")
    instance_build_timeout: Count = Field(default=0, description="seconds of a build; 0: ceiling")
    reclaim_instance_interval: Count = Field(
        default=0, description="seconds that a deleted guest can be restored; 0: a delete is final"
    )
    rescue_timeout: Count = Field(
        default=0, description="seconds after which a rescue is undone by itself; 0: never"
    )
    reboot_timeout: Count = Field(
        default=0, description="seconds of a soft reboot until it is done the hard way; 0: never"
    )
    sync_power_state_interval: int = Field(
        default=600, ge=-1, description="seconds until power and vm_state are reconciled; -1: never"
    )
    resize_confirm_window: Count = Field(
        default=0, description="seconds after which a resize confirms itself; 0: never"
    )
    allow_resize_to_same_host: bool = Field(
        default=False, description="a resize may choose the host that the instance is on"
    )
    shelved_offload_time: int = Field(
        default=0,
        ge=-1,
        description="seconds that a shelved guest stays on its host; -1: until it is asked",
    )
    resume_guests_state_on_host_boot: bool = Field(
        default=False, description="guests that should run are started when their host starts"
    )
    max_concurrent_builds: Count = Field(default=10, description="per host; 0: no bound")
    max_concurrent_snapshots: Count = Field(
        default=5, description="snapshots and backups of one host; 0: no bound"
    )
    max_concurrent_live_migrations: Count = Field(
        default=1, description="leaving one host at a time; 0: no bound"
    )
    max_concurrent_incoming_live_migrations: Count = Field(
        default=10, description="coming to one host at a time; 0: no bound"
    )
    cpu_allocation_ratio: Ratio = Field(default=4.0, description="vcpus promised per vcpu there")
    ram_allocation_ratio: Ratio = Field(default=1.0, description="MiB promised per MiB there")
    disk_allocation_ratio: Ratio = Field(default=1.0, description="GiB promised per GiB there")
    reserved_host_cpus: Count = Field(default=0, description="vcpus kept for the host")
    reserved_host_memory_mb: Count = Field(default=512, description="MiB kept for the host")
    reserved_host_disk_mb: Count = Field(default=0, description="MiB of disk kept for the host")

    conductor: Conductor = Field(default_factory=Conductor)
    scheduler: Scheduler = Field(default_factory=Scheduler)
    libvirt: Libvirt = Field(default_factory=Libvirt)
    workarounds: Workarounds = Field(default_factory=Workarounds)
    saga: Saga = Field(default_factory=Saga)
    kafka: Kafka = Field(default_factory=Kafka)
    database: Database = Field(default_factory=Database)
    topics: Topics = Field(default_factory=Topics)
    notifications: Notifications = Field(default_factory=Notifications)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is handed in and nothing else: `regente.settings_file` merges the layers."""
        return (init_settings,)

    @property
    def is_local(self) -> bool:
        """Say whether log and rows are files of this machine."""
        if self.conductor.use_local is None:
            return not self.kafka.bootstrap_servers
        return self.conductor.use_local

    @property
    def partitions(self) -> int:
        """Return how many partitions the event topics get when they are made."""
        usual = PARTITIONS_EMBEDDED if self.is_local else PARTITIONS_KAFKA
        return self.topics.partitions or usual

    def heart(self) -> dict[str, str]:
        """Return what the fold obeys, as the control record has it."""
        return {
            "migrate_max_retries": str(self.conductor.migrate_max_retries),
            "max_attempts": str(self.scheduler.max_attempts),
            "allow_resize_to_same_host": str(self.allow_resize_to_same_host).lower(),
            "resume_guests_state_on_host_boot": str(self.resume_guests_state_on_host_boot).lower(),
            "resize_confirm_window": str(self.resize_confirm_window),
            "shelved_offload_time": str(self.shelved_offload_time),
            "rescue_timeout": str(self.rescue_timeout),
            "reboot_timeout": str(self.reboot_timeout),
            "sync_power_state_interval": str(self.sync_power_state_interval),
            "handle_virt_lifecycle_events": str(
                self.workarounds.handle_virt_lifecycle_events
            ).lower(),
            "reclaim_instance_interval": str(self.reclaim_instance_interval),
            "instance_build_timeout": str(self.instance_build_timeout),
            "long_rpc_timeout": str(self.long_rpc_timeout),
            "live_migration_completion_timeout": str(
                self.libvirt.live_migration_completion_timeout
            ),
            "live_migration_timeout_action": self.libvirt.live_migration_timeout_action,
            "live_migration_queue_timeout": str(self.saga.live_migration_queue_timeout),
            "move_timeout": str(self.saga.move_timeout),
            "step_timeout": str(self.saga.step_timeout),
            "step_max_s": str(self.saga.step_max_s),
        }
