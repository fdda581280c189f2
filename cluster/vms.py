"""A configuration of Ray's cluster launcher (``ray up``) for AWS, as plain values.

Source of field names: the schema that Ray ships (ray/autoscaler/ray-schema.json) and AWS's RunInstances.
"""

from typing import Any

from cluster.targets import RayVms

IDLE_MINUTES = 10
TOKEN = "~/.ray/auth_token"
"""Where Ray looks for its token by itself, on every machine."""

START = "ulimit -n 65536; RAY_AUTH_MODE=token ray start"


def launcher(target: RayVms) -> dict[str, Any]:
    """The configuration: the head trains nothing and is paid in full, workers are bought on the spot market."""
    mount = f"sudo mount -t nfs4 -o nfsvers=4.1,hard {target.nfs} {target.storage}"
    return {
        "cluster_name": target.name,
        "max_workers": target.workers.maximum,
        "idle_timeout_minutes": IDLE_MINUTES,
        "provider": {"type": "aws", "region": target.region, "cache_stopped_nodes": False},
        "auth": {"ssh_user": "ubuntu"},
        "docker": {
            "image": target.image,
            "container_name": "ray",
            "run_options": [f"--volume={target.storage}:{target.storage}", "--ulimit=nofile=65536:65536"],
        },
        "available_node_types": {
            "head": {
                # Without cores of its own the head carries drivers alone.
                "resources": {"CPU": 0},
                "node_config": {"InstanceType": target.head_type},
            },
            "worker": {
                "min_workers": target.workers.minimum,
                "max_workers": target.workers.maximum,
                "resources": {"CPU": target.worker.cpus, "GPU": target.worker.gpus},
                "node_config": {
                    "InstanceType": target.worker_type,
                    "InstanceMarketOptions": {"MarketType": "spot"},
                },
            },
        },
        "head_node_type": "head",
        "file_mounts": {TOKEN: target.token_file},
        "initialization_commands": [
            "sudo apt-get install --yes nfs-common",
            f"sudo mkdir -p {target.storage} && (mountpoint -q {target.storage} || {mount})",
        ],
        "setup_commands": [f"chmod 600 {TOKEN}"],
        "head_start_ray_commands": [
            "ray stop",
            f"{START} --head --port=6379 --dashboard-host=127.0.0.1 --autoscaling-config=~/ray_bootstrap_config.yaml",
        ],
        "worker_start_ray_commands": ["ray stop", f"{START} --address=$RAY_HEAD_IP:6379"],
    }
