"""The report's page: findings and drawn figures in, one self-contained HTML document out."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined

from analysis import interaction_words, tables
from analysis.answer import answer
from analysis.findings import Findings, Strand
from analysis.result import SCHEMA

TEMPLATE = "report.html"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure as it stands in the page: base64 of its SVG, words for those who cannot see it, and a caption."""

    image: str
    alternative: str
    caption: str


def render(template: str, **values: object) -> str:
    """Fill in one of the package's templates; a value that it names and does not get is an error."""
    environment = Environment(
        loader=FunctionLoader(lambda name: resources.files("analysis").joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def drawn(image: bytes, caption: str) -> Picture:
    """A figure from its SVG; the caption's first sentence is what those read who cannot see it."""
    return Picture(
        image=base64.b64encode(image).decode(), alternative=caption.split(". ")[0].rstrip("."), caption=caption
    )


def page(findings: Findings, figures: Mapping[str, Mapping[str, bytes]]) -> str:
    """Render the page; ``figures`` maps an objective to its SVG images by name.

    The names are ``effect``, ``levels``, ``languages`` and ``training``.
    """
    found = findings.interaction
    return render(
        TEMPLATE,
        findings=findings,
        answer=opening(findings),
        interaction=None if found is None else interaction_words.rungs_table(found),
        change_of_mind=None if found is None else interaction_words.change_of_mind(found),
        conditional=any(tables.one_seed(strand) for strand in findings.strands),
        sections=[_section(findings, strand, figures[strand.objective]) for strand in findings.strands],
        runs=tables.runs_table(findings.asked, findings.runs),
        revisions=sorted({run.revision for run in findings.runs}),
        schema=SCHEMA,
    )


def opening(findings: Findings) -> str:
    """What the page begins with: the answer by the contrast that the study declared."""
    if findings.interaction is None:
        return answer(findings)
    return interaction_words.answer(findings.interaction, findings.asked.measure)


def _section(findings: Findings, strand: Strand, images: Mapping[str, bytes]) -> dict[str, object]:
    return {
        "strand": strand,
        "pictures": _pictures(findings, images),
        "caveats": tables.caveats(findings, strand),
        "clipped": tables.clipped(findings, strand),
        "effects": tables.effects_table(findings, strand),
        "measures": tables.other_measures_table(findings, strand),
        "fits": tables.fits_table(findings, strand, target=findings.primary, saw_every_rung=False),
        "fits_all": tables.fits_table(findings, strand, target=findings.primary, saw_every_rung=True),
        "held_out": tables.held_out_table(findings, strand, target=findings.primary),
        "spread": tables.forecast_spread(strand, target=findings.primary),
        "origins": tables.origins_table(strand),
        "baselines": tables.baselines_table(findings, strand),
        "parts": tables.parts_table(strand),
        "diagnostics": tables.diagnostics_table(strand.runs),
        "ledger": tables.ledger_table(strand.ledger),
    }


def _pictures(findings: Findings, images: Mapping[str, bytes]) -> dict[str, Picture]:
    measure = findings.asked.measure
    captions = {
        "effect": f"Effect of exposure on {measure} by model size, with the laws fitted to it. The diamond is the "
        "held-out rung, the grey band beside it the declared law's forecast. Hollow points are flagged.",
        "levels": f"{measure} by model size at full and reduced exposure, with the teacher above and the systems that "
        "need no training below.",
        "languages": f"{measure} of every language, with its CC-100 class, at every size.",
        "training": "Losses and the transport solver over training; rotations and seeds share a rung's line style.",
    }
    return {name: drawn(images[name], caption) for name, caption in captions.items()}
