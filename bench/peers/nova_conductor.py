"""nova-conductor 34: instances saved through it by RPC, as compute nodes do it.

Runs in its own virtual environment, which has the real nova. Makes nova's databases, starts
`nova-conductor` with one worker over the RabbitMQ that it was told, and saves from four threads
with states that follow each other. Neither placement nor neutron takes part in a save; what asks
for placement's versions at the start is answered here. Prints saves per second as the last line.
"""

from __future__ import annotations

import http.server
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

from nova import monkey_patch

monkey_patch.patch(backend="threading")


from nova import config, context, objects
from nova.conductor import api, rpcapi
from nova.objects import base

INSTANCES = 40
IMAGE = "1cea7ba5-3bb4-4d21-8d8d-6a2ab4b1a0f3"
THREADS = 4
#: A life: vm_state and task_state after each save.
LIFE = (
    ("building", "spawning"),
    ("active", None),
    ("active", "powering-off"),
    ("stopped", None),
    ("stopped", "powering-on"),
)
WITH = ["flavor", "system_metadata", "metadata", "info_cache"]
CONF = """
[DEFAULT]
transport_url = {rabbit}
host = conductor
state_path = {folder}
log_file = {folder}/nova.log
report_interval = 3600
[oslo_messaging_notifications]
driver = noop
[database]
connection = {cell1}
[api_database]
connection = {api}
[conductor]
workers = 1
[placement]
auth_type = none
endpoint_override = {placement}
[neutron]
auth_type = none
endpoint_override = {placement}
"""


class _Versions(http.server.BaseHTTPRequestHandler):
    """Answers every question with placement's versions."""

    def do_GET(self) -> None:
        version = {"id": "v1.0", "status": "CURRENT", "min_version": "1.0", "max_version": "1.39"}
        body = json.dumps({"versions": [version]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def create(n: int) -> objects.Instance:
    """Leave an instance that is spawning, straight in the database, and return it."""
    flavor = objects.Flavor(
        id=1,
        name="m1.small",
        memory_mb=2048,
        vcpus=1,
        root_gb=20,
        ephemeral_gb=0,
        flavorid="2",
        swap=0,
        rxtx_factor=1.0,
        vcpu_weight=1,
        disabled=False,
        is_public=True,
        extra_specs={},
        description=None,
        created_at=None,
        updated_at=None,
        deleted_at=None,
        deleted=False,
    )
    made = objects.Instance(
        admin(),
        uuid=str(uuid.uuid4()),
        project_id="p" * 32,
        user_id="u" * 32,
        host="compute-1",
        node="compute-1",
        compute_id=1,
        vm_state="building",
        task_state="spawning",
        power_state=0,
        memory_mb=2048,
        vcpus=1,
        root_gb=20,
        ephemeral_gb=0,
        display_name=f"vm{n}",
        hostname=f"vm{n}",
        image_ref=IMAGE,
        flavor=flavor,
        instance_type_id=1,
        old_flavor=None,
        new_flavor=None,
        launch_index=0,
        locked=False,
        reservation_id="r-1",
        system_metadata={"image_min_disk": "20", "image_base_image_ref": IMAGE},
        metadata={"a": "b"},
    )
    made.create()
    return made


def admin() -> context.RequestContext:
    """Return a context that may do everything."""
    found = context.get_admin_context()
    found.project_id, found.user_id = "p" * 32, "u" * 32
    return found


def saves(mine: list[objects.Instance], until: float) -> list[float]:
    """Save these instances again and again, and return how long each save took, in seconds."""
    took: list[float] = []
    while time.time() < until:
        turn, which = divmod(len(took), len(mine))
        instance = mine[which]
        before = instance.task_state
        instance.vm_state, instance.task_state = LIFE[(turn + 1) % len(LIFE)]
        began = time.perf_counter()
        instance.save(expected_task_state=[before])
        took.append(time.perf_counter() - began)
    return took


def main(file: str) -> None:
    """Save for so many seconds and print how many a second were saved, and how long one took."""
    given = json.loads(Path(file).read_text())
    placement = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Versions)
    threading.Thread(target=placement.serve_forever, daemon=True).start()
    conf = Path(given["folder"]) / "nova.conf"
    address = f"http://127.0.0.1:{placement.server_address[1]}"
    conf.write_text(CONF.format(placement=address, **given))
    folder = Path(sys.executable).parent
    for words in (
        ["api_db", "sync"],
        ["cell_v2", "map_cell0", "--database_connection", given["cell0"]],
        ["db", "sync"],
        ["cell_v2", "create_cell", "--name", "cell1"],
    ):
        manage = [str(folder / "nova-manage"), "--config-file", str(conf), *words]
        done = subprocess.run(manage, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"Expected nova-manage {words} to end well, but: {done.stderr}")
    config.parse_args(["client", "--config-file", str(conf)])
    objects.register_all()
    uuids = [create(n).uuid for n in range(INSTANCES)]
    conductor = subprocess.Popen(
        [str(folder / "nova-conductor"), "--config-file", str(conf)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        base.NovaObject.indirection_api = rpcapi.ConductorAPI()
        api.API().wait_until_ready(admin())
        found = [objects.Instance.get_by_uuid(admin(), each, expected_attrs=WITH) for each in uuids]
        took = measure(found, given["seconds"])
    finally:
        conductor.terminate()
        conductor.wait()
    answer = {"saves_per_s": len(took) / given["seconds"], "p50_ms": statistics.median(took) * 1e3}
    print(json.dumps(answer), flush=True)
    os._exit(0)  # Its messaging threads don't end by themselves.


def measure(found: list[objects.Instance], seconds: float) -> list[float]:
    """Save from several threads for so long, and return what each save took, in seconds."""
    until, took = time.time() + seconds, list[float]()

    def work(mine: list[objects.Instance]) -> None:
        took.extend(saves(mine, until))

    threads = [threading.Thread(target=work, args=(found[n::THREADS],)) for n in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return took


if __name__ == "__main__":
    main(sys.argv[1])
