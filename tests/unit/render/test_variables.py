"""Variables: which secrets a job needs, and clear words when one is missing or unusable."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.render.deployments import a_regional

from orrery.errors import NotYet
from orrery.ports import Secret
from orrery.render.variables import merge_items, render_items, secret_references

ENV: dict[str, Any] = {
    "env": [
        {"name": "LOG", "value": "info"},
        {"name": "DB", "secretRef": {"name": "db", "key": "password"}},
    ]
}
PRIVATE: dict[str, Any] = {
    "docker": {"image": "ghcr.io/team/shop:1", "credentialsSecretRef": {"name": "pull"}}
}


def a_secret(name: str, **data: bytes) -> dict[str, Secret]:
    keys = {key.replace("dockerconfig", ".dockerconfigjson"): v for key, v in data.items()}
    return {name: Secret("team-a", name, "Opaque", {}, keys)}


def docker_config(**auths: Any) -> dict[str, Secret]:
    return a_secret("pull", dockerconfig=json.dumps({"auths": auths}).encode())


def test_references_name_field_secret_and_key() -> None:
    references = secret_references(a_regional(**ENV, **PRIVATE))

    assert [(r.field, r.secret, r.key) for r in references] == [
        ("spec.env[1].secretRef", "db", "password"),
        ("spec.docker.credentialsSecretRef", "pull", ".dockerconfigjson"),
    ]


def test_items_hold_the_values_by_variable() -> None:
    items = render_items(a_regional(**ENV), a_secret("db", password=b'p"w\n\xc3\xa9'))

    assert items == {"env_DB": 'p"w\né'}


def test_without_secrets_there_are_no_items() -> None:
    assert render_items(a_regional(), {}) == {}


@pytest.mark.parametrize(
    ("secrets", "reason", "message"),
    [
        pytest.param(
            {},
            "SecretNotFound",
            'spec.env[1].secretRef.name: Secret "db" does not exist in this namespace',
            id="no-secret",
        ),
        pytest.param(
            a_secret("db", user=b"x", host=b"y"),
            "SecretKeyNotFound",
            'spec.env[1].secretRef.key: Secret "db" has no key "password"; its keys: host, user',
            id="no-key",
        ),
        pytest.param(
            a_secret("db", password=b"\xff\xfehunter2"),
            "SecretInvalid",
            'spec.env[1].secretRef: key "password" of Secret "db" is not UTF-8 text',
            id="not-text",
        ),
        pytest.param(
            a_secret("db", password=b"hunter2\0"),
            "SecretInvalid",
            'spec.env[1].secretRef: key "password" of Secret "db" has a NUL character, which no '
            "environment variable can hold",
            id="nul",
        ),
        pytest.param(
            a_secret("db", password=b"x" * 65_536),
            "SecretInvalid",
            "the values of all secrets of the deployment have 65542 bytes together; "
            "at most 65536 fit",
            id="too-large",
        ),
        pytest.param(
            a_secret("db", password=b"\x01" * 11_000),
            "SecretInvalid",
            'spec.env[1].secretRef: key "password" of Secret "db" has 66005 bytes when written as '
            "one line; at most 65535 can be read",
            id="too-long-when-escaped",
        ),
    ],
)
def test_what_cannot_be_used_is_named_and_waited_for(
    secrets: dict[str, Secret], reason: str, message: str
) -> None:
    with pytest.raises(NotYet) as caught:
        render_items(a_regional(**ENV), secrets)

    assert (caught.value.reason, caught.value.message) == (reason, message)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("image", "auths", "expected"),
    [
        pytest.param(
            "ghcr.io/team/shop:1",
            {"ghcr.io": {"username": "u", "password": "p"}},
            ("u", "p"),
            id="by-host",
        ),
        pytest.param(
            "ghcr.io/team/shop:1",
            {"https://ghcr.io/v2/": {"auth": base64.b64encode(b"u:p:w").decode()}},
            ("u", "p:w"),
            id="auth-and-url",
        ),
        pytest.param(
            "ghcr.io/team/shop@sha256:00",
            {
                "ghcr.io": {"username": "all", "password": "p"},
                "ghcr.io/team": {"username": "team", "password": "p"},
                "ghcr.io/tea": {"username": "wrong", "password": "p"},
            },
            ("team", "p"),
            id="longest-path-wins",
        ),
        pytest.param(
            "team/shop",
            {"https://index.docker.io/v1/": {"username": "u", "password": "p"}},
            ("u", "p"),
            id="docker-hub",
        ),
        pytest.param(
            "docker.io/team/shop:1",
            {"registry-1.docker.io": {"username": "u", "password": "p"}},
            ("u", "p"),
            id="docker-hub-alias",
        ),
        pytest.param(
            "localhost:5000/shop:1",
            {"localhost:5000": {"username": "u", "password": "p"}},
            ("u", "p"),
            id="host-with-port",
        ),
    ],
)
def test_registry_credentials_are_found(
    image: str, auths: dict[str, Any], expected: tuple[str, str]
) -> None:
    regional = a_regional(docker={"image": image, "credentialsSecretRef": {"name": "pull"}})

    items = render_items(regional, docker_config(**auths))

    assert (items["registry_username"], items["registry_password"]) == expected


@pytest.mark.parametrize(
    ("secrets", "reason", "message"),
    [
        pytest.param(
            docker_config(**{"docker.io": {"username": "u", "password": "hunter2"}}),
            "SecretKeyNotFound",
            'spec.docker.credentialsSecretRef: Secret "pull" has no credentials for registry '
            '"ghcr.io"; its registries: docker.io',
            id="other-registry",
        ),
        pytest.param(
            a_secret("pull", dockerconfig=b"hunter2"),
            "SecretInvalid",
            'spec.docker.credentialsSecretRef: key ".dockerconfigjson" of Secret "pull" is not a '
            "Docker configuration with `auths`",
            id="not-json",
        ),
        pytest.param(
            docker_config(**{"ghcr.io": {"auth": "hunter2!"}}),
            "SecretInvalid",
            'spec.docker.credentialsSecretRef: key ".dockerconfigjson" of Secret "pull" has an '
            "`auth` that is not base64 text",
            id="not-base64",
        ),
        pytest.param(
            a_secret("pull", token=b"x"),
            "SecretKeyNotFound",
            'spec.docker.credentialsSecretRef.name: Secret "pull" has no key ".dockerconfigjson"; '
            "its keys: token",
            id="other-type",
        ),
    ],
)
def test_unusable_registry_credentials_are_named(
    secrets: dict[str, Secret], reason: str, message: str
) -> None:
    with pytest.raises(NotYet) as caught:
        render_items(a_regional(**PRIVATE), secrets)

    assert (caught.value.reason, caught.value.message) == (reason, message)


@given(st.lists(st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,5}\Z"), unique=True, max_size=8))
def test_each_variable_has_its_own_item(env_names: list[str]) -> None:
    regional = a_regional(
        env=[{"name": name, "secretRef": {"name": "s", "key": name}} for name in env_names],
        docker={"image": "ghcr.io/x", "credentialsSecretRef": {"name": "pull"}},
    )
    secrets = a_secret("s", **{name: name.encode() for name in env_names})
    secrets |= docker_config(**{"ghcr.io": {"username": "u", "password": "p"}})

    items = render_items(regional, secrets)

    assert sorted(items.values()) == sorted([*env_names, "u", "p"])


def test_items_that_older_versions_read_are_kept() -> None:
    assert merge_items({"a": "1", "b": "1"}, {"b": "2", "c": "2"}) == {"a": "1", "b": "2", "c": "2"}
