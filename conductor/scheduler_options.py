"""What the scheduler is told: nova's ratios and reserves, in whole numbers: no float decides."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerOptions:
    """Ratios in hundredths; reserves in nova's units, the disk in GiB."""

    cpu_allocation_ratio_percent: int = 400
    ram_allocation_ratio_percent: int = 100
    disk_allocation_ratio_percent: int = 100
    reserved_host_cpus: int = 0
    reserved_host_memory_mb: int = 512
    reserved_host_disk_gb: int = 0
