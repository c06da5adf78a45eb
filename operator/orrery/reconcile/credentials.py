"""Turn a Region and its Secret into credentials, refusing a token for another address. Pure."""

from urllib.parse import urlsplit

from orrery import names
from orrery.api.conditions import Reason
from orrery.api.region import Region
from orrery.errors import InvalidSpec, NotYet
from orrery.ports import Credentials, Secret

MANAGEMENT = "management-token"
"""Key of a management token beside the one that all else is done with; there may be none."""

_KEYS = ("token", "ca.crt", "tls.crt", "tls.key")


def credentials(region: Region, secret: Secret | None, *, namespace: str) -> Credentials:
    """Bind the Secret's token to the endpoint that the Secret itself names.

    Whoever may edit a Region but not its Secret can thus not send the token elsewhere. Raises
    `NotYet` while the Secret is absent, `InvalidSpec` when it is incomplete or bound elsewhere.
    """
    where = f'Secret "{region.credentials_secret}" in namespace "{namespace}"'
    field = "spec.controlPlane.external" if region.spec.control_plane.external else "status"
    if secret is None:
        told = f"{field}.credentialsSecretRef.name: " if field != "status" else ""
        message = f"{told}{where} does not exist"
        raise NotYet(Reason.CREDENTIALS_INVALID, message, retry_after=10)

    endpoint = secret.annotations.get(names.ANNOTATION_ENDPOINT, "")
    if not endpoint:
        message = f"{where} lacks the annotation {names.ANNOTATION_ENDPOINT}, its token's address"
        raise InvalidSpec(Reason.CREDENTIALS_INVALID, message)
    if endpoint.rstrip("/") != region.nomad_address:
        given = f'"{region.nomad_address}" is not the address that {where} is bound to'
        message = (
            f'{field}.nomadAddress: {given}, "{endpoint}" (annotation {names.ANNOTATION_ENDPOINT})'
        )
        raise InvalidSpec(Reason.CREDENTIALS_INVALID, message)

    plain = urlsplit(endpoint).scheme == "http"
    required = ("token",) if plain else _KEYS
    missing = [key for key in required if not secret.data.get(key)]
    if missing:
        raise InvalidSpec(Reason.CREDENTIALS_INVALID, f"{where} lacks {', '.join(missing)}")
    return decode(secret)


def decode(secret: Secret) -> Credentials:
    """Read *secret*, which names its endpoint. Raises `InvalidSpec` for what is not text."""
    texts: dict[str, str] = {}
    for key in (*_KEYS, MANAGEMENT):
        try:
            texts[key] = secret.data.get(key, b"").decode("ascii").strip()
        except UnicodeDecodeError:
            message = f'Secret "{secret.name}" in namespace "{secret.namespace}": {key} is not text'
            raise InvalidSpec(Reason.CREDENTIALS_INVALID, message) from None
    return Credentials(
        endpoint=secret.annotations[names.ANNOTATION_ENDPOINT].rstrip("/"),
        token=texts["token"],
        ca=texts["ca.crt"],
        certificate=texts["tls.crt"],
        key=texts["tls.key"],
        management=texts[MANAGEMENT],
    )
