"""The revision of a collection: a hash of everything that a number could depend on."""

import json
from hashlib import sha256

from harness.data.bitext import bitext_lines
from harness.data.compositions import judge
from harness.data.content import Content, canonical_json, content_to_json

# Hexadecimal digits kept of the SHA-256.
DIGITS = 12

# Bitexts that stand for the rule which writes them: lines for each language, and lexical coverage.
PROBES = ((400, 1.0), (400, 0.5))

# The parts of a tokenizer's JSON that decide which ids a text gets.
TOKENIZER_PARTS = ("model", "normalizer", "pre_tokenizer")


def revision_of(content: Content, tokenizer_json: str) -> str:
    """Hash names, facts, passages, queries, judgements, the rule of bitexts and the tokenizer."""
    digest = sha256(content_to_json(content).encode())
    digest.update(canonical_json(judge(content.queries, content.passages)).encode())
    for lines, coverage in PROBES:
        exposure = [(language, 1.0) for language in content.languages]
        for line in bitext_lines(content, lines, exposure, coverage):
            digest.update(f"{line.id}\t{line.text}\t{line.english}\n".encode())
    tokenizer = json.loads(tokenizer_json)
    digest.update(canonical_json({part: tokenizer[part] for part in TOKENIZER_PARTS}).encode())
    return digest.hexdigest()[:DIGITS]
