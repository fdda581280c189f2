"""Families of models by size. The learning rate of a rung is tied to its width and declared here.

Shapes: XLM-R base and large from arXiv 1911.02116, XL and XXL from arXiv 2105.00572; mBERT from its repository's
``multilingual.md``; mmBERT from its README (arXiv 2509.06888); mT5 from t5x's gin files (arXiv 2010.11934); umT5, which
has no large, from the same recipe over a larger vocabulary (arXiv 2304.09151); EuroBERT from arXiv 2503.05500.
Vocabulary sizes are those of the published Hugging Face configurations. What a checkpoint is found to be is compared
with what is declared here before anything is trained.
"""

from dataclasses import dataclass

from studies.schema.axes import Axis, Setting
from studies.schema.rung import Architecture, ModelType, Rung


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

    Written by hand. Version 2026.11.26 of ``search_atlas_rates``, on validation queries and after 300 steps, has optima
    whose intervals hold the rule's rate at every width but 32, where it names 0.0087 [0.0067, 0.023]. The fall with
    size goes on above width 32, to 0.0048 [0.0027, 0.0073] at 80, which the rule leaves out.
    """
    return round(6e-3 * max(1.0, 32 / width), 6)


def _atlas(name: str, layers: int, width: int) -> tuple[Rung, float]:
    return atlas_rung(name, layers=layers, width=width), atlas_learning_rate(width)


ATLAS = Ladder(
    name="atlas",
    rungs=(
        _atlas("atlas-3k", 1, 16),
        _atlas("atlas-7k", 1, 24),
        _atlas("atlas-13k", 1, 32),
        _atlas("atlas-28k", 1, 48),
        _atlas("atlas-78k", 1, 80),
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


def _published(
    name: str,
    weights: str,
    learning_rate: float,
    model_type: ModelType,
    shape: tuple[int, int, int, int, int],
    vocab: int,
    **more: int,
) -> tuple[Rung, float]:
    """A rung of ``shape`` (layers, width, heads, feed-forward, longest text)."""
    layers, width, heads, feed_forward, longest = shape
    architecture = Architecture(
        model_type=model_type,
        num_layers=layers,
        hidden_size=width,
        num_heads=heads,
        intermediate_size=feed_forward,
        vocabulary_size=vocab,
        embedding_size=width,
        max_positions=longest,
        **more,
    )
    return Rung(name=name, architecture=architecture, weights=weights), learning_rate


_BERT_BASE = (12, 768, 12, 3072, 512)

MBERT = Ladder(
    name="mbert",
    rungs=(
        _published(
            "mbert-base",
            "google-bert/bert-base-multilingual-cased",
            2e-5,
            ModelType.BERT,
            _BERT_BASE,
            119_547,
            type_vocabulary_size=2,
        ),
    ),
)
"""One size, beside XLM-R base: as many weights in its layers, another vocabulary and other data."""

MMBERT = Ladder(
    name="mmbert",
    rungs=(
        _published(
            "mmbert-small", "jhu-clsp/mmBERT-small", 3e-5, ModelType.MODERNBERT, (22, 384, 6, 1152, 8192), 256_000
        ),
        _published(
            "mmbert-base", "jhu-clsp/mmBERT-base", 2e-5, ModelType.MODERNBERT, (22, 768, 12, 1152, 8192), 256_000
        ),
    ),
)

_T5_SHAPES = {
    "small": ((8, 512, 6, 1024, 512), 1e-4),
    "base": ((12, 768, 12, 2048, 512), 5e-5),
    "large": ((24, 1024, 16, 2816, 512), 3e-5),
    "xl": ((24, 2048, 32, 5120, 512), 2e-5),
    "xxl": ((24, 4096, 64, 10240, 512), 1e-5),
}
"""Shapes that mT5 and umT5 share; every head has width 64. Positions are relative, 512 tokens is how long they were
trained on."""


def _t5(family: ModelType, sizes: tuple[str, ...], vocab: int) -> tuple[tuple[Rung, float], ...]:
    return tuple(
        _published(
            f"{family}-{size}",
            f"google/{family}-{size}",
            _T5_SHAPES[size][1],
            family,
            _T5_SHAPES[size][0],
            vocab,
            head_size=64,
        )
        for size in sizes
    )


MT5_ENCODERS = Ladder(name="mt5-encoders", rungs=_t5(ModelType.MT5, ("small", "base", "large", "xl", "xxl"), 250_112))
UMT5_ENCODERS = Ladder(name="umt5-encoders", rungs=_t5(ModelType.UMT5, ("small", "base", "xl", "xxl"), 256_384))
"""Encoders without their decoders. A checkpoint that is published as a pickle alone is refused until its weights have
been saved again as safetensors."""

EUROBERT = Ladder(
    name="eurobert",
    rungs=(
        _published(
            "eurobert-210m",
            "EuroBERT/EuroBERT-210m",
            2e-5,
            ModelType.EUROBERT,
            (12, 768, 12, 3072, 8192),
            128_256,
            head_size=64,
            key_value_heads=12,
        ),
        _published(
            "eurobert-610m",
            "EuroBERT/EuroBERT-610m",
            1e-5,
            ModelType.EUROBERT,
            (26, 1152, 18, 4096, 8192),
            128_256,
            head_size=64,
            key_value_heads=6,
        ),
        _published(
            "eurobert-2.1b",
            "EuroBERT/EuroBERT-2.1B",
            7e-6,
            ModelType.EUROBERT,
            (32, 2304, 18, 6144, 8192),
            128_256,
            head_size=128,
            key_value_heads=6,
        ),
    ),
)
"""Fifteen languages only, without Swahili, Telugu, Bengali or Yoruba. Read by transformers' own class, never by code
that comes with a checkpoint."""
