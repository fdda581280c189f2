"""torch's process group over a worker group, set up as Ray's own TorchConfig does, and by its functions.

Ray's has torch imported by the driver and by the controller of every worker group too, which never use it: four to
five seconds of one core before a worker's process is asked for. Here workers alone import it. What is called below is
that of Ray 2.60.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import GetTimeoutError
from ray.train._internal.utils import get_address_and_port
from ray.train.backend import Backend, BackendConfig
from ray.train.v2._internal.util import TrainingFramework

logger = logging.getLogger(__name__)

LEAVE_SECONDS = 30.0
"""How long workers may take to leave their process group, after which they are ended all the same."""


@dataclass(frozen=True)
class TorchGroup(BackendConfig):
    """Workers that talk by ``backend``, as ``torch.distributed`` spells it; a call may take ``timeout_seconds``."""

    backend: str
    timeout_seconds: int = 1800

    @property
    def backend_cls(self) -> type[Backend]:
        return _Setup

    @property
    def train_func_context(self) -> Callable[[], AbstractContextManager[None]]:
        return on_own_device

    @property
    def framework(self) -> TrainingFramework:
        return TrainingFramework.TORCH

    def to_dict(self) -> dict[str, Any]:
        return {"backend": self.backend, "timeout_s": self.timeout_seconds}


class _Setup(Backend):
    """What the controller asks of the workers."""

    share_cuda_visible_devices = True

    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:
        address, port = worker_group.execute_single(0, get_address_and_port)
        size = len(worker_group)
        joined = [
            worker_group.execute_single_async(rank, join, backend_config, address, port, rank, size)
            for rank in range(size)
        ]
        ray.get(joined)

    def on_shutdown(self, worker_group: Any, backend_config: BackendConfig) -> None:
        try:
            ray.get(worker_group.execute_async(leave, len(worker_group)), timeout=LEAVE_SECONDS)
        except GetTimeoutError:
            logger.warning("workers did not leave their process group within %g s", LEAVE_SECONDS)


def join(declared: TorchGroup, address: str, port: int, rank: int, size: int) -> None:
    """Enter the process group; called on every worker."""
    from ray.train.torch import config

    os.environ |= {"MASTER_ADDR": address, "MASTER_PORT": str(port)}
    config._set_torch_distributed_env_vars()
    config._setup_torch_process_group(declared.backend, rank, size, "env://", declared.timeout_seconds)


def leave(size: int) -> None:
    """Leave the process group; called on every worker."""
    from ray.train.torch import config

    config._shutdown_torch(destroy_process_group=size > 1)


@contextmanager
def on_own_device() -> Iterator[None]:
    """Within, torch's current GPU is the worker's own."""
    from ray.train.torch.config import TorchConfigContextManager

    with TorchConfigContextManager():
        yield
