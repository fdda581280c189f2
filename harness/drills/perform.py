"""Carry out drills one after another, compare what came of each with the undisturbed study, and say what held."""

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from harness.drills import clocks, disks, faults, kills, losses, partition, rivals, stops
from harness.drills.command import DrillFailed
from harness.drills.nearness import near_differences
from harness.drills.results import point_differences, results, run_differences, trained
from harness.drills.scene import SEED, Drill, Ended, Home, Scene, Skipped, go_home
from studies.schema.study import Study

DRILLS: tuple[Drill, ...] = (
    *kills.DRILLS,
    *stops.DRILLS,
    *losses.DRILLS,
    *partition.DRILLS,
    *disks.DRILLS,
    *faults.DRILLS,
    *rivals.DRILLS,
    *clocks.DRILLS,
)

PROMISE, NUMBERS, POINTS, RUNS, LEFT = "promise", "numbers", "points", "runs", "left behind"
ASPECTS = (PROMISE, NUMBERS, POINTS, RUNS, LEFT)
"""What is looked at: what the drill itself promises, final numbers, MLflow's points and runs, and what stays."""

ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came of one drill: for each aspect that was looked at, what was wrong; nothing where it was skipped.

    With ``is_near`` numbers were compared up to rounding.
    """

    drill: Drill
    seconds: float
    found: Mapping[str, Sequence[str]]
    skipped: str | None = None
    is_near: bool = False

    @property
    def holds(self) -> bool:
        """Whether nothing was wrong; what was skipped holds until somebody can look."""
        return not any(self.found.values())


def chosen(name: str) -> tuple[Drill, ...]:
    """The drill of that name, or all of them; ValueError naming those there are."""
    found = tuple(drill for drill in DRILLS if name in (drill.name, ALL))
    if not found:
        raise ValueError(f"there is no drill {name!r}; there are {', '.join(drill.name for drill in DRILLS)}, or {ALL}")
    return found


def perform_all(drills: Sequence[Drill], say: Callable[[str], object]) -> list[Report]:
    """Run the small study undisturbed, then every drill; folders of drills that held are deleted.

    Raises DrillFailed when the undisturbed study does not come home.
    """
    folder = Path(tempfile.mkdtemp(prefix="harness-drill-"))
    began = time.monotonic()
    home = go_home(folder / "home")
    say(f"undisturbed: {time.monotonic() - began:.0f} s")
    reports = []
    for drill in drills:
        report = perform(drill, home, folder / drill.name)
        reports.append(report)
        say(sentence(report))
        if report.holds:
            shutil.rmtree(folder / drill.name, ignore_errors=True)
    if all(report.holds for report in reports):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        say(f"what the drills left is kept in {folder}")
    return reports


def perform(drill: Drill, home: Home, folder: Path) -> Report:
    """Carry out one drill in a new folder."""
    began = time.monotonic()
    scene = Scene(home=home, folder=folder, moments=random.Random(f"{SEED} {drill.name}"))
    skipped, found, is_near = None, {}, False
    try:
        ended = drill.perform(scene)
        is_near, found = ended.is_near, compare(scene, ended)
    except Skipped as reason:
        skipped = str(reason)
    except DrillFailed as failure:
        found = {PROMISE: [str(failure)]}
    finally:
        scene.close()
    return Report(drill=drill, seconds=time.monotonic() - began, found=found, skipped=skipped, is_near=is_near)


def compare(scene: Scene, ended: Ended) -> dict[str, list[str]]:
    """What is not as the undisturbed study has it, by aspect."""
    return {
        PROMISE: [],
        NUMBERS: number_differences(scene, ended),
        POINTS: point_differences(scene.storage, ended.study),
        RUNS: run_differences(scene.storage, ended.study, ended.points),
        LEFT: [left for command in scene.commands for left in command.left_behind()],
    }


def number_differences(scene: Scene, ended: Ended) -> list[str]:
    """Parts of runs that differ from the undisturbed study's, of those that both have; none in common is wrong too."""
    if ended.is_near:
        assert isinstance(ended.study, Study)
        return near_differences(scene.home.storage, scene.storage, ended.study)
    expected = results(scene.home.storage, scene.home.study)
    found: dict[str, object] = {}
    for point in ended.points:
        found |= trained(scene.storage, point.key)
    if isinstance(ended.study, Study):
        found = results(scene.storage, ended.study)
    common = [part for part in expected if part in found and part.partition(" ")[0] not in ended.failed]
    if not any(part.endswith(" weights") and expected[part] for part in common):
        return ["no trained run in common with the undisturbed study"]
    return [f"{part} differs" for part in common if found[part] != expected[part]]


def sentence(report: Report) -> str:
    """One line about a drill, and below it whatever was wrong."""
    if report.skipped is not None:
        return f"{report.drill.name}: skipped: {report.skipped}"
    verdict = "holds" if report.holds else "DOES NOT HOLD"
    wrong = [f"  {aspect}: {what}" for aspect, all_wrong in report.found.items() for what in all_wrong]
    return "\n".join([f"{report.drill.name}: {report.drill.promise}: {verdict} ({report.seconds:.0f} s)", *wrong])


def table(reports: Sequence[Report]) -> Table:
    """Drills by aspect."""
    drawn = Table(box=None, padding=(0, 1), header_style="bold")
    for column in ("Drill", *(aspect.capitalize() for aspect in ASPECTS)):
        drawn.add_column(column, no_wrap=True)
    drawn.add_column("Seconds", justify="right")
    for report in reports:
        cells = [_cell(report, aspect) for aspect in ASPECTS]
        drawn.add_row(report.drill.name, *cells, f"{report.seconds:.0f}")
    return drawn


def _cell(report: Report, aspect: str) -> str:
    if report.skipped is not None:
        return "[yellow]skipped[/]"
    if aspect not in report.found:
        return "[dim]-[/]"
    if aspect == NUMBERS and report.is_near and not report.found[aspect]:
        return "[green]near[/]"
    if not report.found[aspect]:
        return "[green]nothing[/]" if aspect == LEFT else "[green]kept[/]" if aspect == PROMISE else "[green]equal[/]"
    return "[red]something[/]" if aspect == LEFT else "[red]broken[/]" if aspect == PROMISE else "[red]differ[/]"


def list_table() -> Table:
    """The drills there are, with their promises."""
    drawn = Table(box=None, padding=(0, 1), header_style="bold")
    for column in ("Drill", "What has to hold"):
        drawn.add_column(column)
    for drill in DRILLS:
        drawn.add_row(drill.name, drill.promise)
    return drawn
