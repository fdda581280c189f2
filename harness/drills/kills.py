"""SIGKILL of whatever a study consists of: a worker, the driver, Ray's processes, the tracking server."""

from harness.drills.command import Command
from harness.drills.scene import Drill, Ended, Scene, check
from harness.mlflow_server import members, read_record
from studies.schema.storage import Storage


def kill_worker(scene: Scene) -> Ended:
    """One rank of two; the group is started again and goes on from its checkpoint."""
    command = scene.start()
    scene.reach(command, scene.students[0])
    scene.moments.choice(command.train_workers()).kill()
    return scene.bring_home(command)


def kill_driver(scene: Scene) -> Ended:
    """The driver alone: what it started has to notice."""
    command = scene.start()
    scene.reach(command, scene.students[0])
    command.kill()
    return scene.bring_home()


def kill_head(scene: Scene) -> Ended:
    """Ray's head process; the driver says so, and the same command finishes."""
    return _kill_ray(scene, "gcs_server")


def kill_node(scene: Scene) -> Ended:
    """Ray's node process, to which every worker belongs."""
    return _kill_ray(scene, "raylet/raylet")


def _kill_ray(scene: Scene, title: str) -> Ended:
    command = scene.start()
    scene.reach(command, scene.students[0])
    command.living(title)[0].kill()
    if command.wait() == 0:
        return scene.bring_home(command)
    said = command.output()
    check("Ray" in said and "Traceback" not in said, f"the driver should say in words that Ray has ended:\n{said}")
    return scene.bring_home()


def kill_mlflow(scene: Scene) -> Ended:
    """The server's parent and the child that answers, as the kernel does when memory is short."""
    command = scene.start()
    scene.reach(command, scene.students[0])
    kill_tracking_server(command, scene.storage)
    return scene.bring_home(command)


def kill_tracking_server(command: Command, storage: Storage) -> None:
    """Kill MLflow's parent process and the child that answers, once both are there; its supervisor stays."""

    def found() -> list[int]:
        record = read_record(storage)
        return [] if record is None else [pid for pid in members(record) if pid != record.pid]

    command.wait_until(lambda: len(found()) >= 2 and {p.pid for p in command.living()} >= set(found()))
    for process in [process for process in command.living() if process.pid in found()]:
        process.kill()


DRILLS = (
    Drill(name="worker", promise="a killed train worker is replaced and repeats its steps", perform=kill_worker),
    Drill(name="driver", promise="after a killed driver the same command goes on", perform=kill_driver),
    Drill(name="head", promise="when Ray's head is killed the driver says so or goes on", perform=kill_head),
    Drill(name="node", promise="when Ray's node is killed the driver says so or goes on", perform=kill_node),
    Drill(name="mlflow", promise="a killed tracking server is replaced and lacks no point", perform=kill_mlflow),
)
