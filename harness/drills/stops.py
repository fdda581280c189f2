"""Whatever stops without dying: a driver that is told to end, and a rank that hangs."""

from harness.drills.results import last_step
from harness.drills.scene import Drill, Ended, Scene, check
from harness.drills.tiny import EXECUTION

GRACE_SECONDS = 30.0
"""How long a batch system waits between SIGTERM and SIGKILL: Slurm's KillWait and Kubernetes' grace are both 30 s."""

HUNG_VARIABLE = "RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S"
HUNG_SECONDS = 8
"""After how long without an answer a worker counts as hung here; by default it is ten minutes."""


def terminate(scene: Scene) -> Ended:
    """SIGTERM of the driver: it saves, ends within the grace period, and has lost no step."""
    command = scene.start()
    student = scene.students[0]
    # A step after a checkpoint and far from the next, so that a save on request can be told from one that was due.
    scene.reach(command, student, EXECUTION.checkpoint_every + EXECUTION.log_every)
    command.terminate()
    status = command.wait(GRACE_SECONDS)
    saved, recorded = _newest(scene, student), last_step(scene.storage, student)
    check(status, "a driver that was told to end claims to have finished")
    check(saved == recorded, f"step {recorded} was recorded and step {saved} saved:\n{command.output()}")
    return scene.bring_home()


def hang(scene: Scene) -> Ended:
    """SIGSTOP of a rank, which keeps its sockets open and never answers again."""
    command = scene.start(environment={HUNG_VARIABLE: str(HUNG_SECONDS)})
    scene.reach(command, scene.students[0])
    scene.moments.choice(command.train_workers()).suspend()
    return scene.bring_home(command)


def _newest(scene: Scene, key: str) -> int:
    """The step of the newest checkpoint of a run, or of its end; 0 without any."""
    return max((int(path.name) for path in scene.storage.checkpoints(key).glob("[0-9]*")), default=0)


DRILLS = (
    Drill(name="sigterm", promise="a driver that is told to end saves within 30 s", perform=terminate),
    Drill(name="hung", promise="a rank that hangs is replaced", perform=hang),
)
