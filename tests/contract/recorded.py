"""What a real Nomad answered once, held against both servers ever after.

``ORRERY_RECORD=1`` writes the answers of the real one anew; read the difference before you commit.
"""

import json
import os
from pathlib import Path
from typing import Any

from tests.contract.api import Nomad

FOLDER = Path(__file__).parent / "recorded"

CHANGES_BY_ITSELF = {
    "CreateIndex",
    "JobModifyIndex",
    "ModifyIndex",
    "NomadTokenID",
    "SubmitTime",
}


def hold(nomad: Nomad, name: str, answer: Any) -> None:
    """Hold *answer* against the recorded one of *name*; ids and indexes must be out of it."""
    path = FOLDER / f"{name}.json"
    if os.environ.get("ORRERY_RECORD") and nomad.kind == "real":
        FOLDER.mkdir(exist_ok=True)
        path.write_text(json.dumps(answer, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    assert answer == json.loads(path.read_text(encoding="utf-8"))


def timeless(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what differs from one run to the next."""
    return {name: value for name, value in document.items() if name not in CHANGES_BY_ITSELF}
