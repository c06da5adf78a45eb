"""Turn a Region and its Secret into credentials, refusing a token for another address. Pure."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from orrery import names
from orrery.api.conditions import Reason
from orrery.api.region import RegionSpec
from orrery.errors import InvalidSpec, NotYet
from orrery.ports import Credentials, Secret

_KEYS = ("token", "ca.crt", "tls.crt", "tls.key")


def credentials(spec: RegionSpec, secret: Secret | None, *, namespace: str) -> Credentials:
    """Bind the Secret's token to the endpoint that the Secret itself names.

    Whoever may edit a Region but not its Secret can thus not send the token elsewhere. Raises
    `NotYet` while the Secret is absent, `InvalidSpec` when it is incomplete or bound elsewhere.
    """
    external = spec.control_plane.external
    name = external.credentials_secret_ref.name
    where = f'Secret "{name}" in namespace "{namespace}"'
    if secret is None:
        message = f"spec.controlPlane.external.credentialsSecretRef.name: {where} does not exist"
        raise NotYet(Reason.CREDENTIALS_INVALID, message, retry_after=10)

    endpoint = secret.annotations.get(names.ANNOTATION_ENDPOINT, "")
    if not endpoint:
        message = f"{where} lacks the annotation {names.ANNOTATION_ENDPOINT}, its token's address"
        raise InvalidSpec(Reason.CREDENTIALS_INVALID, message)
    if endpoint.rstrip("/") != external.nomad_address.rstrip("/"):
        message = (
            f'spec.controlPlane.external.nomadAddress: "{external.nomad_address}" is not the '
            f'address that {where} is bound to, "{endpoint}" '
            f"(annotation {names.ANNOTATION_ENDPOINT})"
        )
        raise InvalidSpec(Reason.CREDENTIALS_INVALID, message)

    plain = urlsplit(endpoint).scheme == "http"
    required = ("token",) if plain else _KEYS
    missing = [key for key in required if not secret.data.get(key)]
    if missing:
        raise InvalidSpec(Reason.CREDENTIALS_INVALID, f"{where} lacks {', '.join(missing)}")
    return _decode(secret.data, endpoint.rstrip("/"), where)


def _decode(data: Mapping[str, bytes], endpoint: str, where: str) -> Credentials:
    texts: dict[str, str] = {}
    for key in _KEYS:
        try:
            texts[key] = data.get(key, b"").decode("ascii").strip()
        except UnicodeDecodeError:
            message = f"{where}: {key} is not text"
            raise InvalidSpec(Reason.CREDENTIALS_INVALID, message) from None
    return Credentials(
        endpoint=endpoint,
        token=texts["token"],
        ca=texts["ca.crt"],
        certificate=texts["tls.crt"],
        key=texts["tls.key"],
    )
