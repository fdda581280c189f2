"""Rotations over parallel text in which each language in turn is in no corpus, at the same number of lines in all."""

from collections.abc import Sequence
from dataclasses import replace

from studies.schema.axes import Axis, Setting
from studies.schema.parallel import Corpus, ParallelText


def withheld_text(text: ParallelText, *, lines: int, direct: Sequence[Corpus] = ()) -> Axis:
    """Leave out the corpora of each language in turn, after a rotation in which every language has its share of lines.

    ``all`` and each ``without-x`` have at most ``lines`` lines in all, shared out evenly by caps; ValueError where that
    does not come out. With ``direct``, corpora between two languages of the text, a rotation ``direct`` is ``all`` with
    half of the lines of each corpus's source taken from that corpus.
    """
    languages = text.languages
    number = len(languages)
    if number < 2 or lines % number or lines % (number - 1) or (direct and lines // number % 2):
        raise ValueError(
            f"{lines} lines cannot be shared out evenly over {number} languages and over {number - 1}, and by halves; "
            f"use two languages or more, and a multiple of {2 * number * (number - 1)}"
        )
    if text.direct or text.exposure:
        raise ValueError(
            "a text whose languages are withheld has lines with English alone, and no exposure; leave both"
        )

    def setting(label: str, corpora: Sequence[Corpus], caps: Sequence[tuple[str, int]]) -> Setting:
        drawn = replace(text, corpora=tuple(corpora), caps=tuple(caps), lines=lines)
        return Setting(label=label, assign=(("bitext", drawn),))

    def shared(corpora: Sequence[Corpus]) -> list[tuple[str, int]]:
        pairs = dict.fromkeys(corpus.pair for corpus in corpora)
        return [(pair, lines // len(pairs)) for pair in pairs]

    settings = [setting("all", text.corpora, shared(text.corpora))]
    if direct:
        halved = {corpus.source for corpus in direct}
        half = lines // number // 2
        caps = [(pair, half if pair.partition("-")[0] in halved else cap) for pair, cap in shared(text.corpora)] + [
            (corpus.pair, half) for corpus in direct
        ]
        settings.append(setting("direct", (*text.corpora, *direct), caps))
    for language in languages:
        left = [corpus for corpus in text.corpora if corpus.source != language]
        settings.append(setting(f"without-{language}", left, shared(left)))
    return Axis(name="rotation", settings=tuple(settings))
