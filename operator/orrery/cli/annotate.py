"""Ask the operator for something by an annotation, which no spec in Git has to fight for."""

from collections.abc import Callable, Mapping

from orrery.adapters.kube import MERGE_PATCH, HubConnection, HubSource, object_path
from orrery.cli.hub import HubReader, Target, find, finish
from orrery.ports import Document, Key, Kind


def annotate(
    target: Target,
    kind: Kind,
    name: str,
    annotations: Callable[[Document], Mapping[str, str | None]],
) -> Document:
    """Set what *annotations* makes of the object *name*, None takes one off; return the object."""

    async def work() -> Document:
        async with HubConnection(HubSource(target.kubeconfig, target.context)) as connection:
            body = await find(HubReader(connection), kind, name, target)
            patch = {"metadata": {"annotations": dict(annotations(body))}}
            path = object_path(Key(kind, "", name))
            return await connection.demand("PATCH", path, body=patch, content_type=MERGE_PATCH)

    return finish(work)
