"""Write a study's report: the page, its figures as PNG and SVG, and ``result.json``."""

import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from analysis.bootstrap import Resampling
from analysis.declared import Declared, completed
from analysis.figures.effect import draw_effect
from analysis.figures.languages import draw_languages
from analysis.figures.levels import draw_levels
from analysis.figures.training import draw_training
from analysis.findings import Findings, Strand, find
from analysis.interaction_words import interaction_document
from analysis.page import page
from analysis.result import document, dumps
from analysis.runs import read_frame
from studies.languages import LANGUAGES

PNG_DOTS_PER_INCH = 160


def report(
    asked: Declared,
    *,
    tracking_uri: str,
    out: Path,
    storage: str | None = None,
    resampling: Resampling | None = None,
) -> Path:
    """Read, analyse and write ``<out>/<study>/``; returns the page's path.

    Nothing is written before everything is computed, and every file replaces its predecessor at once.
    """
    frame = read_frame(tracking_uri=tracking_uri, study=asked.study, version=asked.version, storage=storage)
    findings = find(asked, completed(asked, frame), LANGUAGES, resampling or Resampling())
    drawn = {strand.objective: draw(findings, strand) for strand in findings.strands}
    images = {
        objective: {name: svg(figure) for name, figure in figures.items()} for objective, figures in drawn.items()
    }
    result = document(findings, source=frame.source)
    if findings.interaction is not None:
        result["interaction"] = interaction_document(findings.interaction)
    files = {"result.json": dumps(result).encode()}
    for objective, figures in drawn.items():
        suffix = f"-{objective}" if len(drawn) > 1 else ""
        for name, figure in figures.items():
            files[f"{name}{suffix}.png"] = png(figure)
            files[f"{name}{suffix}.svg"] = images[objective][name]
    files["index.html"] = page(findings, images).encode()
    folder = out / asked.study
    write(folder, files)
    return folder / "index.html"


def draw(findings: Findings, strand: Strand) -> dict[str, Figure]:
    """All figures of one objective by name."""
    classes = findings.classes
    names = {each.code: f"{each.name} ({classes[each.code]})" for each in LANGUAGES if each.code in classes}
    return {
        "effect": draw_effect(findings, strand),
        "levels": draw_levels(findings, strand),
        "languages": draw_languages(findings, strand, names),
        "training": draw_training(strand),
    }


def png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=PNG_DOTS_PER_INCH, metadata={"Software": None})
    return stream.getvalue()


def svg(figure: Figure) -> bytes:
    """The figure as SVG, the same bytes each time: no date, and names that do not depend on the process."""
    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "report", "svg.fonttype": "path"}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def lay_out(
    folder: Path, result: str, figures: Mapping[str, Figure], page: Callable[[Mapping[str, bytes]], str]
) -> Path:
    """Write the document, the figures as PNG and SVG, and the page made from the SVG; returns the page's path."""
    images = {name: svg(figure) for name, figure in figures.items()}
    files = {"result.json": result.encode()}
    for name, figure in figures.items():
        files[f"{name}.png"], files[f"{name}.svg"] = png(figure), images[name]
    files["index.html"] = page(images).encode()
    write(folder, files)
    return folder / "index.html"


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put files into a folder, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        unfinished = folder / f".{name}.{os.getpid()}"
        try:
            unfinished.write_bytes(content)
            unfinished.replace(folder / name)
        finally:
            unfinished.unlink(missing_ok=True)
