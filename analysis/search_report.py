"""Write the report of a search: the page, the surface as PNG and SVG, and ``result.json``."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from analysis.answer import decimal
from analysis.bootstrap import Estimate, Interval
from analysis.figures.surface import draw_surface
from analysis.found import Found, RungFound, Transfer, TrialRecord, dimensions, found_by, literal, verification
from analysis.page import render
from analysis.report import png, svg, write
from analysis.runs import read_frame
from analysis.surface import NoOptimum, Surface
from analysis.tables import NOTHING, Table, number, table
from studies.schema.search import Search

SCHEMA = 1
TEMPLATE = "search.html"


def search_report(search: Search, *, tracking_uri: str, out: Path, storage: str | None = None) -> Path:
    """Read, analyse and write ``<out>/<search>/``; returns the page's path.

    A search that is under way has a report of the trials it has so far.
    """
    frame = read_frame(tracking_uri=tracking_uri, study=search.name, version=search.version, storage=storage)
    found = found_by(search, frame)
    result = json.dumps(document(found, source=frame.source), indent=1, ensure_ascii=False, allow_nan=False)
    files = {"result.json": f"{result}\n".encode()}
    images: dict[str, bytes] = {}
    for rung in found.rungs:
        figure = draw_surface(search, rung)
        suffix = f"-{rung.name}" if len(found.rungs) > 1 else ""
        files[f"surface{suffix}.png"] = png(figure)
        images[rung.name] = files[f"surface{suffix}.svg"] = svg(figure)
    files["index.html"] = page(found, images).encode()
    folder = out / search.name
    write(folder, files)
    return folder / "index.html"


def page(found: Found, images: Mapping[str, bytes]) -> str:
    """Render the page; ``images`` maps a rung, or one of a rung's choices, to its surface as SVG."""
    carried = found.transfer
    return render(
        TEMPLATE,
        search=found.search,
        sections=[_section(found, rung, images[rung.name]) for rung in found.rungs],
        transfer=_transfer_text(found, carried) if isinstance(carried, Transfer) else carried,
        fitted=not isinstance(dimensions(found.search), NoOptimum),
        predictions=_predictions(carried),
        verification=verification(found.search, carried) if _awaits(carried) else "",
        revisions=found.revisions,
        schema=SCHEMA,
    )


def answer(found: Found, rung: RungFound) -> str:
    """What was found on a rung, in words."""
    search = found.search
    finished = [trial for trial in rung.trials if trial.is_finished]
    counted = f"{len(rung.trials)} trials, {len(finished)} trained to their end"
    if rung.best is None:
        return f"{_title(rung)}: {counted}; no setting can be recommended yet."
    sampled = ", ".join(f"{name} {value}" for name, value in rung.best.sampled.items())
    best = f"the best trial has {sampled} and scores {decimal(rung.best.score or 0.0, 3)}"
    if isinstance(rung.optimum, NoOptimum):
        return f"{_title(rung)}: {counted}; {best}. No optimum is named: {rung.optimum.reason}."
    at = ", ".join(f"{name} {_spoken(value)}" for name, value in rung.optimum.values.items())
    teacher = f"; its teacher scores {decimal(found.teacher, 3)} in English" if found.teacher is not None else ""
    return (
        f"{_title(rung)}: the optimum of {search.measure} lies at {at}, where the surface is at "
        f"{_spoken(rung.optimum.score)}. {counted}; {best}{teacher}."
    )


def document(found: Found, *, source: str) -> dict[str, Any]:
    """What was found in JSON values; ``source`` is the kind of store it was read from."""
    search = found.search
    return {
        "schema": SCHEMA,
        "search": search.name,
        "version": search.version,
        "question": search.question,
        "measure": str(search.measure),
        "split": str(search.split),
        "generated_from": {"source": source, "revisions": list(found.revisions)},
        "teacher": found.teacher,
        "rungs": [_rung(search, rung) for rung in found.rungs],
        "transfer": _transfer(found.transfer),
    }


def _section(found: Found, rung: RungFound, image: bytes) -> dict[str, object]:
    shares = sorted(rung.importance.items(), key=lambda item: -item[1])
    return {
        "rung": _title(rung),
        "answer": answer(found, rung),
        "image": base64.b64encode(image).decode(),
        "literal": literal(found.search, rung),
        "importance": table("Importance", ("part", "share"), [(n, f"{s:.0%}") for n, s in shares], text_columns=1),
        "trials": _trials(found.search, rung),
    }


def _trials(search: Search, rung: RungFound) -> Table:
    names = [parameter.name for parameter in search.space]
    rows = [
        [trial.key[:8], ", ".join([trial.state, *trial.flags]).replace("_", " ")]
        + [trial.sampled.get(name, NOTHING) for name in names]
        + [number(trial.score, 4), str(trial.step)]
        for trial in rung.trials
    ]
    return table("Trials", ("key", "state", *names, str(search.measure), "at step"), rows, text_columns=2)


def _transfer_text(found: Found, carried: Transfer) -> str:
    head = f"Predicted for {carried.rung} from the smaller rungs"
    if carried.verified is None:
        return f"{head}, and not verified yet: no trial at the prediction was trained to its end."
    sampled = ", ".join(f"{name} {value}" for name, value in carried.verified.sampled.items())
    by = "one trial at it" if carried.declared else "the nearest trial of the search, none was asked for at it"
    score = f"{head} and verified by {by} ({sampled}), which scores {decimal(carried.verified.score or 0.0, 3)}"
    if carried.regret is None:
        return f"{score}. No other trial of that rung was trained to its end, so its regret is not known."
    return (
        f"{score}: a regret of {decimal(carried.regret, 3)} {found.search.measure} against the best other trial of "
        "that rung (below zero, the prediction is better)."
    )


def _awaits(carried: Transfer | str | None) -> TypeGuard[Transfer]:
    """Whether a prediction has no trial of its own yet."""
    return isinstance(carried, Transfer) and not carried.declared


def _title(rung: RungFound) -> str:
    return rung.rung if rung.choice is None else f"{rung.rung}, {rung.choice}"


def _predictions(carried: Transfer | str | None) -> Table:
    rows = []
    if isinstance(carried, Transfer):
        for each in carried.predictions:
            rows.append((each.parameter, f"{each.point:.3g}", _range(each.interval), f"{each.exponent:+.2f}"))
    heading = ("parameter", "predicted", "95 % interval", "exponent of size")
    return table("Predictions", heading, rows, text_columns=1)


def _spoken(value: Estimate) -> str:
    return f"{value.point:.3g} [{value.interval.low:.3g}, {value.interval.high:.3g}]"


def _range(found: Interval | None) -> str:
    return NOTHING if found is None else f"{found.low:.3g} to {found.high:.3g}"


def _rung(search: Search, rung: RungFound) -> dict[str, Any]:
    surface = rung.surface
    return {
        "rung": rung.rung,
        "choice": rung.choice,
        "trials": [_trial(trial) for trial in rung.trials],
        "best": rung.best.key if rung.best else None,
        "optimum": {"refused": rung.optimum.reason}
        if isinstance(rung.optimum, NoOptimum)
        else {
            "values": {name: _estimate(value) for name, value in rung.optimum.values.items()},
            "score": _estimate(rung.optimum.score),
            "resamples_on_edge": dict(rung.optimum.on_edge),
        },
        "surface": {"residual": surface.residual, "trials": surface.num_trials}
        if isinstance(surface, Surface)
        else {"refused": surface.reason},
        "importance": dict(rung.importance),
        "literal": literal(search, rung),
    }


def _trial(trial: TrialRecord) -> dict[str, Any]:
    return {
        "key": trial.key,
        "sampled": dict(trial.sampled),
        "state": trial.state,
        "flags": list(trial.flags),
        "score": trial.score,
        "step": trial.step,
    }


def _estimate(value: Estimate) -> dict[str, float]:
    return {"value": value.point, "low": value.interval.low, "high": value.interval.high}


def _transfer(carried: Transfer | str | None) -> Any:
    if not isinstance(carried, Transfer):
        return None if carried is None else {"refused": carried}
    return {
        "rung": carried.rung,
        "predictions": [
            {
                "parameter": each.parameter,
                "value": each.point,
                "low": each.interval.low if each.interval else None,
                "high": each.interval.high if each.interval else None,
                "exponent": each.exponent,
            }
            for each in carried.predictions
        ],
        "values": dict(carried.values),
        "verified": carried.verified.key if carried.verified else None,
        "declared": carried.declared,
        "regret": carried.regret,
    }
