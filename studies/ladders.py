"""Families of models by size. The learning rate of a rung is tied to its width and declared here.

XLM-R shapes: base and large from arXiv 1911.02116, XL and XXL from arXiv 2105.00572; vocabulary sizes as in the
published Hugging Face configurations.
"""

from dataclasses import dataclass

from studies.schema.axes import Axis, Setting
from studies.schema.run import Architecture, ModelType, Rung


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Rungs in order of size, each with its peak learning rate."""

    name: str
    rungs: tuple[tuple[Rung, float], ...]

    def axis(self, *names: str) -> Axis:
        """The ``rung`` axis over the named rungs (all when none is named), learning rate tied to the rung."""
        known = {rung.name: (rung, rate) for rung, rate in self.rungs}
        for name in names:
            if name not in known:
                raise ValueError(f"ladder {self.name} has no rung {name!r}; it has {', '.join(known)}")
        chosen = [known[name] for name in names] if names else list(known.values())
        settings = tuple(
            Setting(label=rung.name, assign=(("rung", rung), ("optimiser.learning_rate", rate)))
            for rung, rate in chosen
        )
        return Axis(name="rung", settings=settings)

    @property
    def largest(self) -> str:
        return self.rungs[-1][0].name


ATLAS_VOCABULARY = 8000
ATLAS_EMBEDDING = 64
"""One width of the token lexicon for every rung: the lexicon would otherwise grow with size."""


def atlas_rung(name: str, *, layers: int, width: int) -> Rung:
    """An XLM-R-shaped encoder (post-norm, GELU, learned positions, feed-forward 4x) with a factorised embedding."""
    architecture = Architecture(
        model_type=ModelType.ELECTRA,
        num_layers=layers,
        hidden_size=width,
        num_heads=max(1, width // 16),
        intermediate_size=4 * width,
        vocabulary_size=ATLAS_VOCABULARY,
        embedding_size=ATLAS_EMBEDDING,
        max_positions=128,
    )
    return Rung(name=name, architecture=architecture)


def atlas_learning_rate(width: int) -> float:
    """Peak learning rate of an atlas rung: 6e-3, and inversely more below width 32.

    Written by hand. Version 2026.11.20 of ``search_atlas_rates``, on validation queries, 1,200 steps of 256 lines and
    widths of 16 to 136, found nothing better by more than 0.0005 nDCG@10 among the rates that it trained to their end,
    but at width 48, where it gave 6e-3 up half-way and finished 0.012.
    """
    return round(6e-3 * max(1.0, 32 / width), 6)


def _atlas(name: str, layers: int, width: int) -> tuple[Rung, float]:
    return atlas_rung(name, layers=layers, width=width), atlas_learning_rate(width)


ATLAS = Ladder(
    name="atlas",
    rungs=(
        _atlas("atlas-3k", 1, 16),
        _atlas("atlas-13k", 1, 32),
        _atlas("atlas-28k", 1, 48),
        _atlas("atlas-50k", 1, 64),
        _atlas("atlas-112k", 1, 96),
    ),
)


def _xlm_r(
    name: str,
    weights: str,
    learning_rate: float,
    model_type: ModelType,
    layers: int,
    width: int,
    heads: int,
    vocab: int,
) -> tuple[Rung, float]:
    architecture = Architecture(
        model_type=model_type,
        num_layers=layers,
        hidden_size=width,
        num_heads=heads,
        intermediate_size=4 * width,
        vocabulary_size=vocab,
        embedding_size=width,
        max_positions=514,
    )
    return Rung(name=name, architecture=architecture, weights=weights), learning_rate


XLM_R = Ladder(
    name="xlm-r",
    rungs=(
        _xlm_r("xlm-r-base", "FacebookAI/xlm-roberta-base", 2e-5, ModelType.XLM_ROBERTA, 12, 768, 12, 250_002),
        _xlm_r("xlm-r-large", "FacebookAI/xlm-roberta-large", 1e-5, ModelType.XLM_ROBERTA, 24, 1024, 16, 250_002),
        _xlm_r("xlm-r-xl", "facebook/xlm-roberta-xl", 7e-6, ModelType.XLM_ROBERTA_XL, 36, 2560, 32, 250_880),
        _xlm_r("xlm-r-xxl", "facebook/xlm-roberta-xxl", 5e-6, ModelType.XLM_ROBERTA_XL, 48, 4096, 32, 250_880),
    ),
)
"""Learning rates are starting points that fall with width; a search over them enters a study with its source."""
