"""Write the keys of every study and the rendered targets: ``python -m tests.goldens``, from the top of the repository.

A key that changed orphans every run stored under the old one, so the change belongs in a diff that somebody reads.
"""

import json
from pathlib import Path

from cluster.render import checked_in
from studies.catalogue import every_study, find
from studies.schema.record import run_name
from studies.schema.sources import TOP
from studies.schema.study import expand

KEYS = Path(__file__).with_name("keys.json")


def keys() -> dict[str, dict[str, str]]:
    """By study and version, the name of every run by its key, in the order of expansion."""
    return {
        f"{study.name} {study.version}": {
            point.key: run_name(
                point.role, {name: label for name, label in point.labels.as_dict().items() if label != "-"}
            )
            for point in expand(study)
        }
        for study in every_study()
    }


if __name__ == "__main__":
    KEYS.write_text(json.dumps(keys(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"wrote {KEYS}")
    for name, text in checked_in(find("first_look")).items():
        rendered = TOP / "cluster" / "rendered" / name
        rendered.write_text(text, encoding="utf-8")
        print(f"wrote {rendered}")
