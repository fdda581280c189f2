"""Degradation on unseen languages in words and tables: the answer, what would change it, what stands on a defect."""

from analysis.answer import decimal, flags, interval_text, spoken, with_interval
from analysis.bootstrap import Estimate
from analysis.comparison_words import system_name
from analysis.falls import BETWEEN, ISOLATED, RELATED, UNSEEN_LANGUAGE, UNSEEN_PAIR, MeanFall
from analysis.frame import RunRecord
from analysis.tables import NOTHING, Table, table
from analysis.unseen import Unseen
from studies.schema.record import Role, State

_DIGITS = 3


def answer(found: Unseen) -> str:
    """One sentence on the primary contrast, and one on what is lost at all."""
    asked = found.asked
    refusal = found.ledger.refusal
    own, other = found.mean(asked.reference), found.primary
    assert own is not None
    if refusal is not None or other.difference is None:
        return f"This study cannot answer its question: trainings differ in what was not declared ({refusal})."
    provisional = "Some trainings are flagged, so this is provisional. " if flagged(found) else ""
    difference = other.difference
    size = f"{with_interval(_turned(difference), _DIGITS)} {asked.measure}"
    verdict = {
        0: f"loses as much as {system_name(asked.against)}, as far as can be told: the difference is "
        f"{with_interval(difference, _DIGITS)} {asked.measure}",
        1: f"loses {size} more than {system_name(asked.against)}",
        -1: f"loses {size} less than {system_name(asked.against)}",
    }[_sign(difference)]
    return (
        f"{provisional}On a language that distillation never saw {system_name(asked.reference)} {verdict} "
        f"({with_interval(own.degradation, _DIGITS)} against {with_interval(other.degradation, _DIGITS)}, means over "
        f"{len(own.languages)} languages). That is {_share(own)} of the score where trained on under "
        f"{system_name(asked.reference)}, {_share(other)} under {system_name(asked.against)}."
    )


def change_of_mind(found: Unseen) -> str:
    """What another result would have to look like, and what this one leaves open."""
    difference = found.primary.difference
    if difference is None:
        return "What would change this: trainings that differ only in what the study declares."
    if _sign(difference) == 0:
        needed = (
            f"differences from {interval_text(difference.interval, _DIGITS)} are all still possible; more target "
            "entities or seeds would narrow that, and an interval without zero would be the answer"
        )
    else:
        needed = "further languages or seeds that bring the difference to zero or beyond"
    seeds = len(found.seeds)
    again = (
        f"; {seeds} seeds understate the spread between trainings by a factor of {seeds - 1}/{seeds}"
        if seeds > 1
        else "; one training per point, so another seed may move any of them"
    )
    return (
        f"What would change this: {needed}{again}. The languages are these and no sample of others; larger students, "
        f"{'other' if found.asked.apart else 'pretraining that has seen the language, and other'} amounts of bitext "
        "are not spoken of."
    )


def kinship(found: Unseen) -> str:
    """Which languages count as related and how the loss differs between the groups, for the reference."""
    related = [code for code, others in found.kin.items() if others]
    own = {group: found.mean(found.asked.reference, group) for group in (RELATED, ISOLATED)}
    told = [
        f"{group} languages ({', '.join(row.languages)}) lose {with_interval(row.degradation, _DIGITS)}"
        for group, row in own.items()
        if row is not None
    ]
    rule = "Related is a language whose family and script another language of the bitext has"
    if not related:
        return f"{rule}; there is none here."
    return f"{rule}. Under {system_name(found.asked.reference)} {'; '.join(told)}."


def levels(found: Unseen) -> str:
    """What is lost between other languages at both levels, for the two contrasted objectives; empty without pairs."""
    told = []
    for system in (found.asked.reference, found.asked.against):
        pair, language = (found.mean(system, BETWEEN, level) for level in (UNSEEN_PAIR, UNSEEN_LANGUAGE))
        if pair is not None and language is not None:
            told.append(
                f"under {system_name(system)} a pair with lines of its own scores "
                f"{with_interval(pair.trained, _DIGITS)} {found.asked.measure}; without them, each language seen with "
                f"English, {with_interval(pair.degradation, _DIGITS)} is lost, without any line of the queries' "
                f"language {with_interval(language.degradation, _DIGITS)}"
            )
    return f"{'; '.join(told)}.".replace("under", "Under", 1) if told else ""


def pairs_table(found: Unseen) -> Table:
    """Every pair between other languages at the three levels, under the two contrasted objectives."""
    rows = []
    for x, y in found.asked.pairs:
        for system in (found.asked.reference, found.asked.against):
            pair, language = (found.fall(system, x, y, level) for level in (UNSEEN_PAIR, UNSEEN_LANGUAGE))
            scores = (pair.trained, pair.unseen, language.unseen, pair.degradation, language.degradation)
            shares = [_relative(pair.relative), _relative(language.relative)]
            rows.append(
                [f"{x} → {y}", system_name(system), *(with_interval(each, _DIGITS) for each in scores), *shares]
            )
    heading = ["pair", "system", "trained pair", UNSEEN_PAIR, UNSEEN_LANGUAGE, "lost, pair", "lost, language"]
    caption = f"{found.asked.measure} between other languages, passages read by the student"
    return table(caption, [*heading, "relative, pair", "relative, language"], rows, text_columns=2)


def caveats(found: Unseen) -> list[str]:
    """Which systems have flagged runs, and how many."""
    counts: dict[str, list[RunRecord]] = {}
    for run in found.runs:
        if run.state == State.FLAGGED:
            counts.setdefault(_system_of(run), []).append(run)
    return [
        f"Flagged: {len(runs)} runs of {system_name(name)} "
        f"({flags(sorted({flag for run in runs for flag in run.flags or ('flagged',)}))})."
        for name, runs in counts.items()
    ]


def flagged(found: Unseen) -> bool:
    """Whether a training of the two contrasted objectives ended with a stated defect."""
    return any(run.state == State.FLAGGED for run in found.runs if run.role == Role.STUDENT)


def languages_table(found: Unseen, names: dict[str, str]) -> Table:
    """Every pair under every system: trained, not trained, the fall and its share."""
    rows = []
    for code in found.asked.withheld.values():
        for system in found.systems:
            row = found.fall(system, code)
            kin = ", ".join(found.kin[code]) or "none"
            cells = [with_interval(each, _DIGITS) for each in (row.trained, row.unseen, row.degradation)]
            copied = NOTHING if code not in found.floor else decimal(found.floor[code], _DIGITS)
            rows.append([names.get(code, code), kin, system_name(system), *cells, _relative(row.relative), copied])
    heading = ["queries in", "related", "system", "trained on", "never seen", "degradation", "relative", "copied"]
    passages = ", English passages" if found.teacher else ""
    return table(f"{found.asked.measure} by language{passages}", heading, rows, text_columns=3)


def means_table(found: Unseen, measure: str) -> Table:
    """The mean fall of every system over all, related and isolated languages."""
    rows = []
    for row in found.means:
        if row.measure == measure:
            difference = NOTHING if row.difference is None else with_interval(row.difference, _DIGITS)
            p = NOTHING if row.p is None else f"{row.p:.3f}" if row.p >= 0.001 else f"{row.p:.1e}"
            cells = [with_interval(each, _DIGITS) for each in (row.trained, row.unseen, row.degradation)]
            group = f"{row.group} ({len(row.languages)})" + (f", {row.level}" if row.group == BETWEEN else "")
            rows.append([group, system_name(row.system), *cells, _relative(row.relative), difference, p])
    against = f"{system_name(found.asked.reference)} loses more by"
    heading = ["languages", "system", "trained on", "never seen", "degradation", "relative", against, "p"]
    return table(f"Mean degradation in {measure}", heading, rows, text_columns=2)


def _share(row: MeanFall) -> str:
    return NOTHING if row.relative is None else _relative(row.relative)


def _relative(value: Estimate | None) -> str:
    if value is None:
        return NOTHING
    low, high = value.interval.low, value.interval.high
    return f"{decimal(100 * value.point, 0)} % [{decimal(100 * low, 0)}, {decimal(100 * high, 0)}]"


def _sign(difference: Estimate) -> int:
    """0 where the interval holds zero."""
    return 0 if 0.0 in difference.interval else 1 if difference.point > 0.0 else -1


def _turned(difference: Estimate) -> Estimate:
    """A difference with its sign taken off."""
    if difference.point >= 0.0:
        return difference
    interval = type(difference.interval)(low=-difference.interval.high, high=-difference.interval.low)
    return Estimate(point=-difference.point, interval=interval)


def _system_of(run: RunRecord) -> str:
    return run.labels.objective if run.role == Role.STUDENT else spoken(run.role)
