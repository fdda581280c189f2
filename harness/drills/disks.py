"""Storage that fails: full, refused for a while, or with checkpoints that are not what was written."""

import contextlib
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.drills.command import DrillFailed
from harness.drills.results import fingerprint
from harness.drills.scene import Drill, Ended, Scene, Skipped, check, hand_on
from harness.drills.tiny import STEPS
from studies.schema.publication import MANIFEST
from studies.schema.storage import Storage

DISK_MEGABYTES = 640

REFUSED_VARIABLE = "HARNESS_DRILL_REFUSED_SECONDS"
REFUSED_SECONDS = 60.0
"""How long storage is refused, unless the variable says otherwise."""


def fill_disk(scene: Scene) -> Ended:
    """A file system that fills in mid-run; there is room again when the command is given a second time."""
    disk = mount_disk(scene.folder / "disk")
    scene.clean_up.append(lambda: subprocess.run(["umount", "--lazy", str(disk)], check=True))
    scene.storage = Storage.at(disk / "storage")
    hand_on(scene.home, scene.storage)
    command = scene.start()
    scene.reach(command, scene.students[1])
    filler = fill(disk)
    status, said = command.wait(), command.output()
    named = f"error: storage root {scene.storage.root} " in said and "free some space or choose another root" in said
    check(status and named and "Traceback" not in said, f"the full disk should be named, with the remedy:\n{said}")
    filler.unlink()
    return scene.bring_home()


def mount_disk(place: Path) -> Path:
    """A small file system in memory; Skipped for users who may not mount one."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        raise Skipped("mounting a file system needs root")
    return place


def fill(disk: Path, *, leave: int = 0) -> Path:
    """A file that takes all room of a file system but ``leave`` bytes."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while shutil.disk_usage(disk).free > leave:
            stream.write(bytes(min(2**20, shutil.disk_usage(disk).free - leave)))
    return filler


def refuse_storage(scene: Scene) -> Ended:
    """A root that can be read and not written for a while, as when a file server fails over."""
    command = scene.start()
    scene.reach(command, scene.students[0])
    with refused(scene.storage.root):
        deadline = time.monotonic() + float(os.environ.get(REFUSED_VARIABLE, REFUSED_SECONDS))
        while command.is_running and time.monotonic() < deadline:
            time.sleep(0.1)
    status, said = command.wait(), command.output()
    if status == 0:
        return scene.bring_home(command)
    check("Traceback" not in said, f"the driver should say in words that storage was refused:\n{said}")
    return scene.bring_home()


@contextmanager
def refused(root: Path) -> Iterator[None]:
    """Nothing below ``root`` can be opened for writing: a read-only mount for root, permissions for others."""
    undo = _mount_read_only(root) if os.geteuid() == 0 else _take_permissions(root)
    try:
        yield
    finally:
        undo()


def _mount_read_only(root: Path) -> Callable[[], object]:
    """A read-only view is made beside ``root`` and laid over it whole: a mount that somebody writes through is busy."""
    view = root.with_name(f"{root.name}-read-only")
    view.mkdir()
    if subprocess.run(["mount", "--bind", str(root), str(view)], capture_output=True, check=False).returncode:
        view.rmdir()
        raise Skipped("root itself may not mount anything here, and permissions do not keep root out")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(view)], check=True)
        subprocess.run(["mount", "--bind", str(view), str(root)], check=True)
    finally:
        subprocess.run(["umount", str(view)], check=True)
        view.rmdir()
    return lambda: subprocess.run(["umount", "--lazy", str(root)], check=True)


def _take_permissions(root: Path) -> Callable[[], object]:
    closed = [path for path in (root, *root.rglob("*")) if path.is_dir()]
    for path in closed:
        path.chmod(path.stat().st_mode & ~stat.S_IWUSR)

    def give_back() -> None:
        for path in closed:
            path.chmod(path.stat().st_mode | stat.S_IWUSR)

    return give_back


def damage_checkpoints(scene: Scene) -> Ended:
    """The three newest checkpoints truncated, with a bit flipped and without a manifest; the one before is whole."""
    kept = f"execution=replace(EXECUTION, keep_checkpoints={len(_DAMAGE) + 1})"
    studies = scene.declare(f"tiny_study({scene.home.revision!r}, steps={STEPS}, {kept})")
    student = scene.students[0]
    command = scene.start(studies=studies)
    checkpoints = scene.storage.checkpoints(student)
    command.wait_until(lambda: len(_whole(checkpoints)) > len(_DAMAGE))
    # Workers outlive their driver by seconds, which would be enough to finish so small a run.
    command.end()
    whole = _whole(checkpoints)
    if len(whole) <= len(_DAMAGE):
        raise DrillFailed(f"the run ended before its checkpoints could be damaged:\n{command.output()}")
    damaged = [damage(folder) for damage, folder in zip(_DAMAGE, reversed(whole), strict=False)]
    follower = scene.start(studies=studies)
    ended = scene.bring_home(follower)
    told = [line for line in follower.output().splitlines() if "is damaged" in line]
    for path in damaged:
        named = path.name == MANIFEST or any(str(path) in line and "goes on from" in line for line in told)
        check(named, f"{path} was damaged and nobody said so:\n{follower.output()}")
    return ended


def _whole(checkpoints: Path) -> list[Path]:
    """Published checkpoints in order of their steps."""
    return sorted(path for path in checkpoints.glob("[0-9]*") if (path / MANIFEST).exists())


def _truncate(checkpoint: Path) -> Path:
    path = _largest(checkpoint)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def _flip_bit(checkpoint: Path) -> Path:
    path = _largest(checkpoint)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path


def _lose_manifest(checkpoint: Path) -> Path:
    (checkpoint / MANIFEST).unlink()
    return checkpoint / MANIFEST


def _largest(checkpoint: Path) -> Path:
    sizes = {name: size for name, (size, _) in fingerprint(checkpoint).items()}
    return checkpoint / max(sizes, key=lambda name: sizes[name])


_DAMAGE: tuple[Callable[[Path], Path], ...] = (_truncate, _flip_bit, _lose_manifest)

DRILLS = (
    Drill(name="disk", promise="a full disk is named, and the study goes on when there is room", perform=fill_disk),
    Drill(name="refused", promise="storage that is refused for a while costs no result", perform=refuse_storage),
    Drill(name="checkpoints", promise="damaged checkpoints are passed over, aloud", perform=damage_checkpoints),
)
