"""`python -m yellowdog_ray.carrier KIT`: a worker replaces the head of its kit if the head's machine is lost."""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from pathlib import Path

from yellowdog_ray.carrier.delivery import SshDelivery
from yellowdog_ray.carrier.replacement import Carriers, Replacement
from yellowdog_ray.credentials import load_head_file
from yellowdog_ray.node import kit, variables
from yellowdog_ray.node.ports import GCS_PORT
from yellowdog_ray.platform.client import Platform

logger = logging.getLogger(__name__)

_CONNECT_SECONDS = 1.0


def main(folder: Path) -> int:
    """Replace the head of the kit in this directory. Returns the exit code, which is 0 if a new head has the kit."""
    logging.basicConfig(level=logging.INFO, format="RayDog: %(message)s", stream=sys.stdout)
    if time.clock_gettime(time.CLOCK_BOOTTIME) - float((folder / kit.RENEWED).read_text()) > kit.OLD_SECONDS:
        logger.warning("this worker's copy of the head's files is too old to replace the head")
        return 1
    manifest = kit.read_manifest((folder / kit.MANIFEST).read_bytes())
    credentials = load_head_file(folder / kit.CREDENTIALS)
    own_id = os.environ.get(variables.CLOUD_INSTANCE_ID, "")
    carriers = Carriers(own_id, (folder / kit.CARRIERS).read_text().split())
    delivery = SshDelivery(folder, manifest.ssh_user, credentials)
    platform = Platform(credentials, manifest.namespace)
    return 0 if Replacement(platform, manifest, carriers, delivery, head_answers).run() else 1


def head_answers() -> bool:
    """Whether the machine of this worker's head answers. A refused connection is an answer."""
    try:
        with socket.create_connection((os.environ[variables.HEAD_IP], GCS_PORT), _CONNECT_SECONDS):
            return True
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
