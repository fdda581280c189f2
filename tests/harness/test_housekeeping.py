"""What gc finds, and above all what it leaves alone."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from ir_measures import Success

from harness import housekeeping
from harness.status import statuses
from studies.bases import ATLAS_TRANSLATOR
from studies.schema.record import Role, State
from studies.schema.state import write_state
from studies.schema.storage import Storage
from studies.schema.study import expand
from tests.harness.small_study import leave_evaluation, leave_weights, small_study

STUDY = small_study()
TEACHER, *_, STUDENT = expand(STUDY)


def found(place: Storage) -> set[Path]:
    return {item.path for item in housekeeping.garbage(place, [STUDY])}


def leave_checkpoint(place: Storage, key: str) -> Path:
    with place.publish(place.checkpoints(key) / "00000500") as folder:
        (folder / "engine").write_bytes(b"e" * 1000)
    return place.checkpoints(key)


def leave_embeddings(place: Storage, teacher: str) -> Path:
    with place.publish(place.embeddings(teacher, "passages-1")) as folder:
        (folder / "vectors").write_bytes(b"v" * 1000)
    return place.root / "embeddings" / teacher


def test_gc_of_an_empty_or_absent_storage_finds_nothing(storage: Path) -> None:
    assert found(Storage.at(storage)) == set()
    assert found(Storage.at(storage / "not-there")) == set()


def test_gc_frees_checkpoints_only_once_the_final_weights_are_there(storage: Path) -> None:
    place = Storage.at(storage)
    checkpoints = leave_checkpoint(place, STUDENT.key)
    for state in (State.PLANNED, State.RUNNING, State.FAILED, State.PRUNED, State.FINISHED):
        write_state(place, STUDENT.key, state)
        assert found(place) == set()
    leave_weights(place, STUDENT)
    assert found(place) == {checkpoints}


def test_gc_leaves_a_held_run_alone_even_if_it_was_free_when_found(storage: Path) -> None:
    place = Storage.at(storage)
    checkpoints = leave_checkpoint(place, STUDENT.key)
    leave_weights(place, STUDENT)
    items = housekeeping.garbage(place, [STUDY])
    with place.lease(place.run_lease(STUDENT.key)):
        assert found(place) == set()
        assert housekeeping.delete(place, items) == ()
    assert checkpoints.exists()


def test_gc_frees_an_evaluation_only_when_the_one_asked_for_exists(storage: Path) -> None:
    place = Storage.at(storage)
    other = replace(STUDY, measures=(*STUDY.measures, Success @ 1))
    old = leave_evaluation(place, other, STUDENT)
    assert found(place) == set()
    leave_evaluation(place, STUDY, STUDENT)
    assert found(place) == {old}
    assert housekeeping.garbage(place, [STUDY, other]) == ()
    assert housekeeping.garbage(place, []) == ()


def test_gc_frees_vectors_of_teachers_without_a_study_while_nobody_works(storage: Path) -> None:
    place = Storage.at(storage)
    leave_embeddings(place, TEACHER.key)
    unused = leave_embeddings(place, "0123456789abcdef")
    assert found(place) == {unused}
    with place.lease(place.run_lease(STUDENT.key)):
        assert found(place) == set()


def test_gc_frees_translations_of_translators_without_a_study(storage: Path) -> None:
    study = replace(STUDY, rivals=(Role.TRANSLATED,), translator=ATLAS_TRANSLATOR)
    place = Storage.at(storage)
    used = next(point.key for point in expand(study) if point.role is Role.TRANSLATOR)
    for key in (used, "0123456789abcdef"):
        with place.publish(place.translations(key, "de-1")) as folder:
            (folder / "translations.json").write_text("[]")
    (item,) = housekeeping.garbage(place, [study])
    assert item.path == place.root / "translations" / "0123456789abcdef"


def test_gc_frees_what_a_killed_writer_left_and_not_what_a_living_one_writes(storage: Path) -> None:
    place = Storage.at(storage)
    program = (
        "import sys, time\nfrom studies.schema.storage import Storage\nplace = Storage.at(sys.argv[1])\n"
        "with place.publish(place.final('0123456789abcdef')) as folder:\n"
        "    (folder / 'weights').write_bytes(b'w' * 10)\n    print(folder, flush=True)\n    time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(storage)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    ) as writer:
        assert writer.stdout is not None
        partial = Path(writer.stdout.readline().strip())
        assert partial.is_dir()
        assert found(place) == set()
        writer.kill()
    assert found(place) == {partial}


def test_gc_deletes_exactly_what_it_said_and_changes_no_result(storage: Path) -> None:
    place = Storage.at(storage)
    for point in expand(STUDY):
        leave_checkpoint(place, point.key)
        leave_weights(place, point)
        leave_evaluation(place, STUDY, point)
        leave_evaluation(place, replace(STUDY, depth=STUDY.depth + 1), point)
    leave_embeddings(place, "0123456789abcdef")
    before, began = statuses(STUDY, place), time.time_ns()
    items = housekeeping.garbage(place, [STUDY])
    assert all(item.path.exists() and item.size > 0 for item in items)
    files = {file: file.stat().st_size for file in storage.rglob("*") if file.is_file() and file.name != "lease"}
    assert housekeeping.delete(place, items) == items
    kept = {file: file.stat().st_size for file in storage.rglob("*") if file.is_file() and file.name != "lease"}
    assert sum(files.values()) - sum(kept.values()) == sum(item.size for item in items)
    assert all(file.stat().st_mtime_ns < began for file in kept)
    assert statuses(STUDY, place) == before
    assert housekeeping.garbage(place, [STUDY]) == ()
