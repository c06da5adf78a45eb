"""The Secrets of a region's control plane: made once, renewed in time, never lost in silence."""

import asyncio
import json
import logging
from base64 import b64decode
from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.verification import PolicyBuilder, Store
from tests.fakes.regionsecrets import (
    CERTIFICATES,
    LEAVES,
    NAMESPACE,
    SECRETS,
    START,
    SecretsOfRegion,
    ref,
)

from orrery.api.conditions import Reason
from orrery.errors import InvalidSpec

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


async def test_a_new_region_gets_all_its_secrets() -> None:
    region = SecretsOfRegion()

    await region.run()

    secrets = {r.name: body for r, body in region.cluster.objects.items() if r.kind == "Secret"}
    assert secrets.keys() == set(SECRETS)
    assert {body["metadata"]["labels"]["orrery.dev/region"] for body in secrets.values()} == {"fra"}
    gossip = json.loads(region.texts("fra-gossip")["gossip.json"])
    assert len(b64decode(gossip["server"]["encrypt"])) == 32
    assert len(region.texts("fra-bootstrap-token")["token"]) == 36


async def test_the_outcome_says_what_the_secrets_hold() -> None:
    region = SecretsOfRegion()

    outcome = await region.run()

    operator = region.texts("fra-operator-tls")
    authority = x509.load_pem_x509_certificate(region.texts("fra-ca")["tls.crt"].encode())
    assert (outcome.operator.ca, outcome.operator.certificate, outcome.operator.key) == (
        operator["ca.crt"],
        operator["tls.crt"],
        operator["tls.key"],
    )
    assert outcome.authority == authority.fingerprint(SHA256()).hex()
    assert outcome.expires == START + timedelta(hours=720)
    assert outcome.nomad_tls_digest != outcome.front_door_tls_digest


async def test_when_all_is_well_nothing_is_written() -> None:
    region = SecretsOfRegion()
    first = await region.run()

    assert await region.writes_of_a_pass() == 0
    assert await region.run() == first


@pytest.mark.parametrize(
    ("secret", "host"),
    [
        pytest.param("fra-nomad-tls", "server.fra.nomad", id="what-nomad-demands"),
        pytest.param("fra-nomad-tls", "localhost", id="itself"),
        pytest.param("fra-nomad-tls", "fra-nomad", id="headless-service"),
        pytest.param("fra-nomad-tls", "fra-nomad-2.fra-nomad.orrery-fra.svc", id="pod"),
        pytest.param(
            "fra-nomad-tls", "fra-nomad-0.fra-nomad.orrery-fra.svc.cluster.local", id="pod-in-full"
        ),
        pytest.param("fra-nomad-tls", "fra.regions.example", id="name-of-the-region"),
        pytest.param("fra-front-door-tls", "fra.regions.example", id="front-door"),
        pytest.param("fra-front-door-tls", "front-door.fra.orrery", id="front-door-itself"),
    ],
)
async def test_a_server_is_trusted_under_its_names(secret: str, host: str) -> None:
    region = SecretsOfRegion(host="fra.regions.example")

    outcome = await region.run()

    roots = Store(x509.load_pem_x509_certificates(outcome.operator.ca.encode()))
    verifier = PolicyBuilder().store(roots).time(START).build_server_verifier(x509.DNSName(host))
    assert verifier.verify(region.leaf(secret), [])


async def test_the_operator_is_a_client_and_nothing_else() -> None:
    region = SecretsOfRegion()

    await region.run()

    extensions = region.leaf("fra-operator-tls").extensions
    hosts = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(hosts) == [x509.DNSName("operator.fra.orrery")]
    assert list(usages) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]


async def test_another_address_takes_new_certificates_of_the_same_authority() -> None:
    region = SecretsOfRegion()
    before = await region.run()
    region.address = "203.0.113.8"

    after = await region.run()

    hosts = region.leaf("fra-nomad-tls").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert "203.0.113.8" in map(str, hosts.value.get_values_for_type(x509.IPAddress))
    assert after.authority == before.authority
    assert after.nomad_tls_digest != before.nomad_tls_digest
    assert after.operator == before.operator


async def test_certificates_are_renewed_when_two_thirds_of_their_life_are_over() -> None:
    region = SecretsOfRegion(lifetime="15h")
    before = await region.run()
    life = timedelta(hours=15, minutes=5)
    due = START + timedelta(hours=15) - life / 3

    region.clock.moment = due - SECOND
    early = await region.writes_of_a_pass()
    region.clock.moment = due
    at_the_moment = await region.writes_of_a_pass()

    assert (early, at_the_moment) == (0, 3)
    after = await region.run()
    assert (after.authority, after.expires) == (before.authority, due + timedelta(hours=15))
    assert after.nomad_tls_digest != before.nomad_tls_digest


@pytest.mark.parametrize("secret", LEAVES)
@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda region, name: region.lose(name), id="deleted"),
        pytest.param(lambda region, name: region.edit(name, tls_crt="nonsense"), id="damaged"),
        pytest.param(lambda region, name: region.edit(name, tls_key=None), id="no-key"),
        pytest.param(lambda region, name: region.edit(name, ca_crt="nonsense"), id="no-trust"),
    ],
)
async def test_a_leaf_that_came_to_harm_is_mended(
    harm: Callable[[SecretsOfRegion, str], None], secret: str
) -> None:
    region = SecretsOfRegion()
    before = await region.run()
    harm(region, secret)

    writes = await region.writes_of_a_pass()

    assert writes == 1
    assert (await region.run()).authority == before.authority
    assert await region.writes_of_a_pass() == 0


HARM = [
    pytest.param(lambda region: region.lose("fra-ca"), "does not exist any more", id="deleted"),
    pytest.param(lambda region: region.edit("fra-ca", tls_crt="?"), "is damaged", id="damaged"),
    pytest.param(lambda region: region.edit("fra-ca", tls_key=None), "is damaged", id="no-key"),
    pytest.param(
        lambda region: region.edit("fra-ca", next_crt="?"), "is damaged", id="bad-successor"
    ),
    pytest.param(
        lambda region: region.edit("fra-ca", **leaf_as_authority(region)), "is damaged", id="a-leaf"
    ),
]


def leaf_as_authority(region: SecretsOfRegion) -> dict[str, str]:
    leaf = region.texts("fra-nomad-tls")
    return {"tls_crt": leaf["tls.crt"], "tls_key": leaf["tls.key"]}


@pytest.mark.parametrize("forgetful", [False, True], ids=["remembered", "status-lost"])
@pytest.mark.parametrize(("harm", "what"), HARM)
async def test_a_lost_authority_is_told_and_never_replaced(
    harm: Callable[[SecretsOfRegion], None], what: str, *, forgetful: bool
) -> None:
    region = SecretsOfRegion()
    await region.run()
    harm(region)
    region.remembered = "" if forgetful else region.remembered
    before = region.cluster.writes.total()

    with pytest.raises(InvalidSpec) as caught:
        await region.run()

    assert caught.value.reason == Reason.AUTHORITY_LOST
    assert f'Secret "fra-ca" in namespace "{NAMESPACE}", the certificate authority' in str(
        caught.value
    )
    assert what in caught.value.message
    assert region.cluster.writes.total() == before


async def test_another_authority_than_the_one_remembered_is_told() -> None:
    region = SecretsOfRegion(remembered="0f" * 32)

    with pytest.raises(InvalidSpec, match="does not exist any more"):
        await region.run()

    region.remembered = ""
    await region.run()
    region.remembered = "0f" * 32
    with pytest.raises(InvalidSpec, match="holds another authority, not the one"):
        await region.run()


async def test_a_lost_authority_is_replaced_when_somebody_does_what_the_message_says() -> None:
    region = SecretsOfRegion()
    old = (await region.run()).authority
    region.lose(*CERTIFICATES)
    with pytest.raises(InvalidSpec) as caught:
        await region.run()
    assert f'annotate the Region with orrery.dev/forget-authority="{old}"' in str(caught.value)
    region.annotations["orrery.dev/forget-authority"] = old

    new = (await region.run()).authority

    assert new != old
    assert await region.writes_of_a_pass() == 0
    region.lose("fra-ca")
    with pytest.raises(InvalidSpec, match="does not exist any more"):
        await region.run()


async def test_a_restored_authority_is_taken_up_again() -> None:
    region = SecretsOfRegion()
    before = await region.run()
    backup = region.cluster.objects[ref("fra-ca")]
    region.lose("fra-ca")
    with pytest.raises(InvalidSpec):
        await region.run()

    region.cluster.put({k: v for k, v in backup.items() if k != "metadata"} | restored(backup))

    assert await region.writes_of_a_pass() == 0
    assert await region.run() == before


def restored(backup: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    return {"metadata": {key: backup["metadata"][key] for key in ("name", "namespace")}}


async def test_gossip_and_token_are_made_once() -> None:
    region = SecretsOfRegion()
    await region.run()
    before = [region.texts(name) for name in ("fra-gossip", "fra-bootstrap-token")]
    region.clock.moment += timedelta(days=4000)

    await region.run()

    assert [region.texts(name) for name in ("fra-gossip", "fra-bootstrap-token")] == before


async def test_a_secret_without_its_key_is_told_after_certificates_were_seen_to() -> None:
    region = SecretsOfRegion()
    await region.run()
    region.edit("fra-gossip", gossip_json=None)
    region.lose("fra-nomad-tls")

    with pytest.raises(InvalidSpec, match=r'"fra-gossip" .* lacks gossip.json'):
        await region.run()

    assert ref("fra-nomad-tls") in region.cluster.objects


async def test_two_operators_at_once_make_one_authority() -> None:
    region = SecretsOfRegion()

    outcomes = await asyncio.gather(*(region.attempt(region.cluster) for _ in range(3)))

    region.remembered = outcomes[0].authority
    assert {outcome.authority for outcome in outcomes} == {region.remembered}
    assert await region.writes_of_a_pass() == 0


async def test_no_secret_is_shown_or_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    region = SecretsOfRegion()
    shown = [repr(await region.run())]
    canaries = secrets_of(region)
    region.annotations["orrery.dev/rotate-authority"] = "1"
    for _ in range(3):
        shown.append(repr(await region.run()))
        region.clock.moment += HOUR
        canaries |= secrets_of(region)
    region.lose("fra-ca")
    with pytest.raises(InvalidSpec) as caught:
        await region.run()

    said = "\n".join([*shown, str(caught.value), repr(caught.value), *map(repr, vars_of(caplog))])

    assert "is issued: it was missing" in said
    assert len(canaries) > 20
    assert [canary for canary in canaries if canary in said] == []


def secrets_of(region: SecretsOfRegion) -> set[str]:
    """Return all that must not be seen: every line of a key, key of the gossip, and token."""
    keys = [region.texts(name) for name in CERTIFICATES]
    lines = [
        line
        for texts in keys
        for key in ("tls.key", "next.key")
        for line in texts.get(key, "").splitlines()
        if line and not line.startswith("-----")
    ]
    gossip = json.loads(region.texts("fra-gossip")["gossip.json"])["server"]["encrypt"]
    return {*lines, gossip, region.texts("fra-bootstrap-token")["token"], "PRIVATE KEY"}


def vars_of(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [vars(record) | {"said": record.getMessage()} for record in caplog.records]


async def test_a_lost_management_token_is_told_and_all_else_goes_on() -> None:
    region, name = SecretsOfRegion(), "fra-bootstrap-token"
    await region.run()
    before = region.cluster.objects[ref(name)]
    region.cluster.remove(ref(name))

    lost = (await region.run(in_use=True)).lost

    assert lost is not None
    assert lost.reason == Reason.SECRET_LOST
    assert 'management-token of the hub\'s Secret "fra-region-credentials"' in lost.message
    assert ref(name) not in region.cluster.objects
    region.cluster.put(before)
    assert (await region.run(in_use=True)).lost is None


async def test_what_running_servers_were_started_with_is_never_made_anew() -> None:
    name, words = "fra-gossip", "nomad operator gossip keyring list"
    region = SecretsOfRegion()
    await region.run()
    before = region.cluster.objects[ref(name)]
    region.cluster.remove(ref(name))

    with pytest.raises(InvalidSpec, match=f'Secret "{name}" .* is gone: restore it') as lost:
        await region.run(in_use=True)

    assert lost.value.reason == Reason.SECRET_LOST
    assert words in lost.value.message
    assert ref(name) not in region.cluster.objects
    region.cluster.put(before)
    await region.run(in_use=True)
    assert region.cluster.objects[ref(name)]["data"] == before["data"]


async def test_before_there_is_a_server_a_key_that_is_gone_is_made_anew() -> None:
    region = SecretsOfRegion()
    await region.run()
    region.cluster.remove(ref("fra-gossip"))

    await region.run(in_use=False)

    assert ref("fra-gossip") in region.cluster.objects
