"""Corpora of parallel text in the layouts that they are published in; files and their revision are the user's.

Columns of WikiMatrix are those that LASER's ``tasks/WikiMatrix/extract.py`` reads, those of NLLB the ones its data card
lists. Licences are those of the corpora's own pages, None where each text has its own.
"""

from studies.schema.files import REVISION_DIGITS
from studies.schema.parallel import Corpus, Moses, MosesZip, Parquet, Tsv

WIKIMATRIX_THRESHOLD = 1.04
"""Margin score above which WikiMatrix's authors keep a pair (arXiv 1907.05791)."""

NOT_FETCHED = "0" * REVISION_DIGITS
"""Stands for the revision of files that nobody has fetched yet; whoever has them is told what it is."""

NLLB_COLUMNS = 9
"""Two sentences, margin score, two language scores, source and address of each sentence."""


def opus(corpus: str, first: str, second: str, *, revision: str, licence: str | None = None) -> Corpus:
    """A Moses archive of OPUS, such as CCAligned, NLLB, Tatoeba or TED2020, under its own name.

    Codes are in alphabetical order, as in the archive's name.
    """
    source, target = _sides(first, second)
    stem = f"{corpus}.{first}-{second}"
    return Corpus(
        name=f"opus-{corpus}-{first}-{second}",
        source=source,
        target=target,
        files=MosesZip(path=f"{corpus}/{first}-{second}.txt.zip", source=f"{stem}.{source}", target=f"{stem}.{target}"),
        licence=licence,
        revision=revision,
    )


def wikimatrix(first: str, second: str, *, revision: str, least_score: float = WIKIMATRIX_THRESHOLD) -> Corpus:
    """WikiMatrix: margin score and two sentences, codes in alphabetical order."""
    source, target = _sides(first, second)
    columns = {first: 1, second: 2}
    return Corpus(
        name=f"wikimatrix-{first}-{second}",
        source=source,
        target=target,
        files=Tsv(
            path=f"WikiMatrix/WikiMatrix.{first}-{second}.tsv.gz",
            columns=3,
            source=columns[source],
            target=columns[target],
            score=0,
        ),
        licence="CC-BY-SA",
        revision=revision,
        least_score=least_score,
    )


def nllb(first: str, second: str, *, names: tuple[str, str], revision: str, least_score: float = 1.06) -> Corpus:
    """Mined pairs of NLLB (arXiv 2207.04672) with their scores; ``names`` are FLORES's, such as swh_Latn."""
    source, target = _sides(first, second)
    columns = {first: 0, second: 1}
    return Corpus(
        name=f"nllb-{first}-{second}",
        source=source,
        target=target,
        files=Tsv(
            path=f"nllb/{names[0]}-{names[1]}.gz",
            columns=NLLB_COLUMNS,
            source=columns[source],
            target=columns[target],
            score=2,
        ),
        licence="ODC-By",
        revision=revision,
        least_score=least_score,
    )


def ccaligned_documents(language: str, *, name: str, revision: str) -> Corpus:
    """CCAligned's documents (arXiv 1911.06154): domain, address and text in English, address and text in a language."""
    return Corpus(
        name=f"ccaligned-{language}-en",
        source=language,
        target="en",
        files=Tsv(path=f"ccaligned/{name}.tsv.xz", columns=5, source=4, target=2),
        licence=None,
        revision=revision,
    )


def on_hub(
    data_set: str, source: str, target: str, *, config: str, revision: str, split: str = "train", files: int = 1
) -> Corpus:
    """A data set of translations on Hugging Face's hub, such as Helsinki-NLP/opus-100 with ``config`` en-sw.

    ``revision`` is a commit of the branch refs/convert/parquet, on which the hub has every data set in one layout:
    ``files`` numbered ones for a split.
    """
    source, target = _sides(source, target)
    return Corpus(
        name=f"{data_set.rpartition('/')[2]}-{config}",
        source=source,
        target=target,
        files=Parquet(
            paths=tuple(f"{config}/{split}/{number:04d}.parquet" for number in range(files)),
            source=f"translation.{source}",
            target=f"translation.{target}",
        ),
        licence=None,
        revision=revision,
        hub=data_set,
    )


def tatoeba(language: str, *, name: str, revision: str) -> Corpus:
    """LASER's Tatoeba test (arXiv 1812.10464), up to 1,000 lines, never for training; ``name`` has three letters."""
    stem = f"tatoeba/v1/tatoeba.{name}-eng"
    return Corpus(
        name=f"tatoeba-{language}-en",
        source=language,
        target="en",
        files=Moses(source=f"{stem}.{name}", target=f"{stem}.eng"),
        licence="CC-BY-2.0",
        revision=revision,
        held_out="measuring alignment",
    )


def flores(source: str, target: str, *, names: tuple[str, str], split: str, revision: str) -> Corpus:
    """FLORES-200 (arXiv 2207.04672), dev or devtest, any pair; kept for CLCA."""
    if split not in ("dev", "devtest"):
        raise ValueError(f"FLORES-200 has no public split {split!r}; it has dev and devtest")
    folder = f"flores200_dataset/{split}"
    return Corpus(
        name=f"flores-{split}-{source}-{target}",
        source=source,
        target=target,
        files=Moses(source=f"{folder}/{names[0]}.{split}", target=f"{folder}/{names[1]}.{split}"),
        licence="CC-BY-SA-4.0",
        revision=revision,
        held_out="CLCA",
    )


def _sides(first: str, second: str) -> tuple[str, str]:
    """The student's side and the other, English where it takes part."""
    if first >= second:
        raise ValueError(f"the pair is written {first}-{second}; archives name codes in alphabetical order")
    return (second, first) if first == "en" else (first, second)
