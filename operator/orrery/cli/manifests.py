"""Read manifests from a file, a folder or standard input."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from orrery.api.base import API_VERSION
from orrery.errors import InvalidSpec
from orrery.ports import Document, Kind

STDIN: Final = "-"
_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_UNREADABLE: Final = "ManifestUnreadable"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One document, and where it was found."""

    source: str
    document: Document

    @property
    def kind(self) -> str:
        """The kind, empty when it says none."""
        return str(self.document.get("kind") or "")

    @property
    def name(self) -> str:
        """The name, empty when it has none."""
        return str(self._metadata.get("name") or "")

    @property
    def namespace(self) -> str:
        """The namespace, empty when it names none."""
        return str(self._metadata.get("namespace") or "")

    @property
    def is_deployment(self) -> bool:
        """Whether it is a GlobalDeployment of this API."""
        return self.is_ours(Kind.GLOBAL_DEPLOYMENT)

    def is_ours(self, kind: Kind) -> bool:
        """Whether it is an object of *kind* of this API."""
        return self.document.get("apiVersion") == API_VERSION and self.kind == kind

    def __str__(self) -> str:
        return f"{self.kind or 'document'} {self.name or 'without a name'} in {self.source}"

    @property
    def _metadata(self) -> Mapping[str, Any]:
        metadata = self.document.get("metadata")
        return metadata if isinstance(metadata, Mapping) else {}


def read_manifests(*places: str) -> list[Manifest]:
    """Read every document at *places*: files, the files of folders, or - for standard input.

    Raises `InvalidSpec` that names every file that cannot be read.
    """
    if places.count(STDIN) > 1:
        raise InvalidSpec(_UNREADABLE, f"{STDIN} is given twice: standard input can be read once")
    found: list[Manifest] = []
    problems: list[str] = []
    for place in places:
        try:
            files = _files(place)
        except InvalidSpec as error:
            problems.append(error.message)
            continue
        for file in files:
            try:
                found += _manifests(file)
            except InvalidSpec as error:
                problems.append(error.message)
    if problems:
        raise InvalidSpec(_UNREADABLE, "\n".join(problems))
    return found


def _files(where: str) -> Sequence[Path | None]:
    """List the files at a place; None stands for standard input."""
    if where == STDIN:
        return (None,)
    path = Path(where)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
        if not files:
            raise InvalidSpec(_UNREADABLE, f"{where}: no .yaml, .yml or .json file is in there")
        return files
    if not path.exists():
        raise InvalidSpec(_UNREADABLE, f"{where}: no such file or folder")
    return (path,)


def _manifests(file: Path | None) -> Iterator[Manifest]:
    if file is None:
        yield from _parse(_called(STDIN), sys.stdin.read())
    else:
        yield from _parse(str(file), _read(file))


def in_namespace(manifest: Manifest, namespace: str, *, given: bool) -> Manifest:
    """Put *manifest* into *namespace* where it names none.

    Raises `InvalidSpec` when it names another than the one *given* on the command line.
    """
    if given and manifest.namespace not in ("", namespace):
        raise InvalidSpec(
            _UNREADABLE,
            f'{manifest}: metadata.namespace is "{manifest.namespace}", and -n says "{namespace}"',
        )
    metadata = manifest.document.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        return manifest  # Validation says what is wrong with it.
    metadata = {**metadata, "namespace": manifest.namespace or namespace}
    return Manifest(manifest.source, {**manifest.document, "metadata": metadata})


def deployments_in(manifests: Sequence[Manifest], *places: str) -> list[Manifest]:
    """Pick the GlobalDeployments of what was read at *places*; raises `InvalidSpec` without any."""
    found = [manifest for manifest in manifests if manifest.is_deployment]
    if not found:
        kinds = ", ".join(sorted({_kind_of(manifest) for manifest in manifests})) or "nothing"
        wanted = f"{Kind.GLOBAL_DEPLOYMENT} of {API_VERSION}"
        where = ", ".join(map(_called, places))
        raise InvalidSpec(_UNREADABLE, f"{where}: no {wanted} is in there, but {kinds}")
    return found


def _called(place: str) -> str:
    return "standard input" if place == STDIN else place


def _kind_of(manifest: Manifest) -> str:
    if not manifest.kind:
        return "a document without a kind"
    return f"{manifest.kind} of {manifest.document.get('apiVersion') or 'no apiVersion'}"


class _Loader(yaml.SafeLoader):
    """Reads dates as text, as kubectl does."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSpec(_UNREADABLE, f"{file}: {error}") from error


def _parse(source: str, text: str) -> Iterator[Manifest]:
    try:
        documents = list(yaml.load_all(text, _Loader))
    except yaml.YAMLError as error:
        raise InvalidSpec(_UNREADABLE, f"{source}: {_words(error)}") from error
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, Mapping):
            raise InvalidSpec(
                _UNREADABLE, f"{source}: a manifest must be an object, not {_type(document)}"
            )
        items = document.get("items")
        if document.get("kind") == "List" and isinstance(items, list):
            yield from (Manifest(source, item) for item in items if isinstance(item, Mapping))
        else:
            yield Manifest(source, document)


def _words(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "not YAML"
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)


def _type(value: object) -> str:
    return "a list" if isinstance(value, list) else "a single value"
