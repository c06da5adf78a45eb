"""The note that travels beside a register call and is kept per job version.

Pure. It is what a hub is rebuilt from: where the job came from, and the spec it was derived from.
It restarts nothing, unlike a change of the job's Meta. Secrets are not in it: a spec only names
them.
"""

from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from orrery.api.globaldeployment import GlobalDeploymentSpec
from orrery.ports import Document, Submission
from orrery.render.digest import spec_document

TEMPLATE_VERSION = 1
"""Grows when the same spec is rendered to another job by a newer Orrery."""


@dataclass(frozen=True, slots=True)
class SubmissionNote:
    """What a submission of ours says."""

    template: int
    install: str
    namespace: str
    name: str
    generation: int
    revision: str
    digest: str
    spec: Document
    uid: str = ""
    """Identity of the object, for information: ownership does not depend on it."""


class _Note(BaseModel):
    """The note's form; a newer Orrery may have said more."""

    model_config = ConfigDict(strict=True)

    orrery: int
    install: str
    namespace: str
    name: str
    generation: int
    revision: str
    digest: str
    spec: dict[str, Any]
    uid: str = ""


def render_submission(
    spec: GlobalDeploymentSpec,
    *,
    install: str,
    namespace: str,
    name: str,
    uid: str = "",
    generation: int,
    revision: str,
    digest: str,
) -> Submission:
    """Write down what the job with *digest* was derived from."""
    note = _Note(
        orrery=TEMPLATE_VERSION,
        install=install,
        namespace=namespace,
        name=name,
        generation=generation,
        revision=revision,
        digest=digest,
        spec=dict(spec_document(spec)),
        uid=uid,
    )
    source = orjson.dumps(note.model_dump(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    return Submission(source=source.decode())


def parse_submission(submission: Submission | None) -> SubmissionNote | None:
    """Read what *submission* says, None when there is none or it is not one of ours."""
    if submission is None:
        return None
    try:
        note = _Note.model_validate_json(submission.source)
    except ValidationError:
        return None
    return SubmissionNote(
        template=note.orrery,
        install=note.install,
        namespace=note.namespace,
        name=note.name,
        generation=note.generation,
        revision=note.revision,
        digest=note.digest,
        spec=note.spec,
        uid=note.uid,
    )
