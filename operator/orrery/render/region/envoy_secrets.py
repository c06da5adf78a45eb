"""Write where a front door's Envoy finds its certificates, in files that it watches. Pure.

A renewed Secret so reaches Envoy without a restart: connections stay, and each new handshake uses
what is there then.
"""

from typing import Any, Final

from orrery.api.base import GROUP

CONFIGURATION_FOLDER: Final = f"/etc/{GROUP}/front-door"
"""Where `ENVOY_FILE` and the two files that it refers to are mounted."""

ENVOY_FILE: Final = "envoy.json"
CERTIFICATE_FILE: Final = "certificate.json"
AUTHORITIES_FILE: Final = "authorities.json"

CERTIFICATES_FOLDER: Final = f"/etc/{GROUP}/front-door-tls"
"""Where the Secret with ``tls.crt``, ``tls.key`` and ``ca.crt`` is mounted."""

TLS: Final = "envoy.extensions.transport_sockets.tls.v3"

_CERTIFICATE: Final = "front-door"
_AUTHORITIES: Final = "authorities"


def render_certificate() -> dict[str, Any]:
    """Say where the front door's own certificate is, and that its folder is watched.

    The kubelet swaps a link in that folder, so certificate and key are always read as a pair.
    """
    return _secret(
        _CERTIFICATE,
        tls_certificate={
            "certificate_chain": {"filename": f"{CERTIFICATES_FOLDER}/tls.crt"},
            "private_key": {"filename": f"{CERTIFICATES_FOLDER}/tls.key"},
            "watched_directory": {"path": CERTIFICATES_FOLDER},
        },
    )


def render_authorities() -> dict[str, Any]:
    """Say where the trusted authorities are: two, while one takes over from the other."""
    return _secret(
        _AUTHORITIES,
        validation_context={
            "trusted_ca": {"filename": f"{CERTIFICATES_FOLDER}/ca.crt"},
            "watched_directory": {"path": CERTIFICATES_FOLDER},
        },
    )


def identity() -> dict[str, Any]:
    """Present the front door's own certificate."""
    return {"tls_certificate_sds_secret_configs": [_from_file(_CERTIFICATE, CERTIFICATE_FILE)]}


def trust(host: str) -> dict[str, Any]:
    """Accept who has a certificate for just the DNS name *host*, signed by a trusted authority.

    It is written as a pattern, since Envoy's exact matcher also takes a certificate for
    ``*.<rest of the name>``.
    """
    return trust_pattern(host.replace(".", "[.]"))


def trust_pattern(pattern: str) -> dict[str, Any]:
    """Accept who has a certificate for a DNS name of *pattern*, signed by a trusted authority."""
    name = {"san_type": "DNS", "matcher": {"safe_regex": {"regex": pattern}}}
    return {
        "combined_validation_context": {
            "default_validation_context": {"match_typed_subject_alt_names": [name]},
            "validation_context_sds_secret_config": _from_file(_AUTHORITIES, AUTHORITIES_FILE),
        }
    }


def typed(name: str, type_: str, **config: Any) -> dict[str, Any]:
    """Write an extension of Envoy's: its name, and its configuration, a message of *type_*."""
    return {"name": name, "typed_config": message(type_, **config)}


def message(type_: str, **config: Any) -> dict[str, Any]:
    """Write a message that tells its own *type_*."""
    return {"@type": f"type.googleapis.com/{type_}", **config}


def _from_file(name: str, file: str) -> dict[str, Any]:
    source = {"path": f"{CONFIGURATION_FOLDER}/{file}"}
    return {
        "name": name,
        "sds_config": {"resource_api_version": "V3", "path_config_source": source},
    }


def _secret(name: str, **content: Any) -> dict[str, Any]:
    return {"resources": [message(f"{TLS}.Secret", name=name, **content)]}
