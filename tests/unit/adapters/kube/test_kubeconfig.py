"""A kubeconfig out of a Secret: what it says is taken, what it must not say is named."""

import base64
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from tests.unit.adapters.kube.servers import kubeconfig_of

from orrery.adapters.kube.access import TextSource
from orrery.adapters.kube.kubeconfig import LONGEST, parse_kubeconfig
from orrery.adapters.pki import Usage, create_authority, issue
from orrery.errors import InvalidSpec

Change = Callable[[dict[str, Any]], Any]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def changed(change: Change) -> str:
    document = yaml.safe_load(kubeconfig_of("https://eu.example:6443"))
    change(document)
    return yaml.safe_dump(document)


def user(**fields: Any) -> str:
    return changed(lambda document: document["users"][0]["user"].update(fields))


def cluster(**fields: Any) -> str:
    return changed(lambda document: document["clusters"][0]["cluster"].update(fields))


def test_a_kubeconfig_with_a_token_leads_to_its_server() -> None:
    way = parse_kubeconfig(user(token=" s3cret\n"))

    assert (way.server, way.token) == ("https://eu.example:6443", "s3cret")
    assert "s3cret" not in repr(way)
    assert "s3cret" not in repr(TextSource(user(token="s3cret")))
    assert way.tls_context().verify_mode is ssl.CERT_REQUIRED


def test_embedded_certificates_are_taken() -> None:
    authority = create_authority("eu")
    pair = issue(authority, "orrery", usages=[Usage.CLIENT])
    text = changed(
        lambda document: (
            document["clusters"][0]["cluster"].update(
                {
                    "certificate-authority-data": encoded(authority.certificate),
                    "tls-server-name": "kubernetes",
                    "proxy-url": "http://proxy.example:3128",
                }
            ),
            document["users"][0].update(
                user={
                    "client-certificate-data": encoded(pair.certificate),
                    "client-key-data": encoded(pair.key),
                }
            ),
        )
    )

    way = parse_kubeconfig(text)

    assert (way.server_name, way.proxy) == ("kubernetes", "http://proxy.example:3128")
    assert len(way.tls_context().get_ca_certs()) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            user(exec={"command": "sh"}),
            r"users\[orrery\]\.user\.exec is not allowed: it would run a program",
            id="program",
        ),
        pytest.param(user(**{"auth-provider": {"name": "oidc"}}), "auth-provider", id="provider"),
        pytest.param(user(tokenFile="/etc/passwd"), "tokenFile.*read a file", id="token-file"),
        pytest.param(
            user(**{"client-certificate": "/x"}), "client-certificate is", id="certificate-file"
        ),
        pytest.param(user(**{"client-key": "/x"}), "client-key is", id="key-file"),
        pytest.param(user(**{"as": "admin"}), r"user\.as is not allowed", id="impersonation"),
        pytest.param(user(username="u", password="p"), "password is not", id="password"),
        pytest.param(
            cluster(**{"certificate-authority": "/x"}), "certificate-authority is", id="ca-file"
        ),
        pytest.param(
            cluster(**{"insecure-skip-tls-verify": True}), "must be false", id="no-verification"
        ),
        pytest.param(cluster(server="http://eu.example"), "is not encrypted", id="plain"),
        pytest.param(cluster(server="https://u:p@eu.example"), "must be https", id="user-in-url"),
        pytest.param(cluster(server="https://eu.example/?a=b"), "must be https", id="query"),
        pytest.param(cluster(server="https://"), "not a URL with a host", id="no-host"),
        pytest.param(cluster(server="https://eu.example:port"), "not a URL", id="no-port"),
        pytest.param(cluster(server="file:///etc/passwd"), "not a URL", id="file"),
        pytest.param(cluster(server=7), "server must be text", id="number"),
        pytest.param(cluster(**{"proxy-url": "socks5://eu.example"}), "proxy-url must", id="socks"),
        pytest.param(
            cluster(**{"proxy-url": "http://me:s3cret@proxy.example:3128"}),
            "proxy-url must",
            id="proxy-with-user",
        ),
        pytest.param(user(token="a b"), "token has characters", id="token-with-blank"),
        pytest.param(user(token=""), "holds no credentials", id="no-credentials"),
        pytest.param(user(**{"client-certificate-data": encoded("c")}), "go together", id="no-key"),
        pytest.param(
            user(**{"client-key-data": "%%%"}), "client-key-data is not text in base64", id="base64"
        ),
        pytest.param(
            changed(lambda document: document.pop("current-context")),
            "current-context is missing",
            id="no-context",
        ),
        pytest.param(
            changed(lambda document: document.update({"current-context": "us"})),
            'current-context names "us", which contexts does not have',
            id="other-context",
        ),
        pytest.param(
            changed(lambda document: document.update({"clusters": None})),
            'cluster names "eu", which clusters does not have',
            id="no-cluster",
        ),
        pytest.param("contexts: [", "it is not YAML", id="no-yaml"),
        pytest.param("s3cret", "it is not YAML with clusters", id="text"),
        pytest.param("[" * 100_000, "nested more than 20 levels", id="deep"),
        pytest.param("{" * 100_000, "nested more than 20 levels", id="deep-maps"),
        pytest.param("- " * 50_000, "nested more than 20 levels", id="deep-blocks"),
        pytest.param("a: &a {b: 1}\nc: {<<: [*a, *a]}", "YAML aliases", id="aliases"),
        pytest.param("#" * (LONGEST + 1), "longer than", id="long"),
    ],
)
def test_what_cannot_or_must_not_be_is_named_without_its_content(text: str, words: str) -> None:
    with pytest.raises(InvalidSpec, match=words) as refusal:
        parse_kubeconfig(text)

    assert "s3cret" not in refusal.value.message
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            cluster(**{"certificate-authority-data": encoded("no pem")}),
            "certificate-authority-data holds no certificate",
            id="authority",
        ),
        pytest.param(
            user(**{"client-certificate-data": encoded("c"), "client-key-data": encoded("k")}),
            "no usable pair",
            id="pair",
        ),
    ],
)
async def test_certificates_that_are_none_are_named(text: str, words: str) -> None:
    with pytest.raises(InvalidSpec, match=words):
        await TextSource(text).load()


def test_contexts_that_are_not_the_current_one_may_say_what_they_like() -> None:
    other = {"name": "other", "user": {"exec": {"command": "sh"}}}

    assert parse_kubeconfig(changed(lambda document: document["users"].append(other))).token
