"""Forms: what each takes and refuses, and that every expression in the API has words for users."""

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from orrery.api import forms
from orrery.api.crd import DEFINITIONS
from orrery.api.forms import Form


def accepts(form: Form, text: str) -> bool:
    try:
        TypeAdapter[str](Annotated[str, form.text(max_length=1000)]).validate_python(text)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("form", "taken", "refused"),
    [
        pytest.param(
            forms.LABEL, ["a", "a1", "a-b"], ["", "1a", "a-", "A", "a.b", "a\n", "ä"], id="label"
        ),
        pytest.param(forms.OPTIONAL_LABEL, ["", "raw-exec"], ["-", "1"], id="optional-label"),
        pytest.param(forms.OBJECT_NAME, ["1a", "a.b-c"], ["", "a.", "A", "a_b"], id="object-name"),
        pytest.param(forms.SECRET_KEY, [".dockerconfigjson", "A_b"], ["", "a b"], id="secret-key"),
        pytest.param(
            forms.DURATION,
            ["0s", "30s", "1h30m", "99999h", "500ms"],
            ["", "30", "s", "1d", "-1s", "1.5s", "100000s", "1 s", "1s\n"],
            id="duration",
        ),
        pytest.param(
            forms.IMAGE,
            ["demo", "docker.io/koyeb/demo:1.4", "localhost:5000/a@sha256:0123"],
            ["", " demo", "a b", "a\tb", "a\u00a0b", "${attr.x}", "a$b", "/demo", "-x"],
            id="image",
        ),
        pytest.param(
            forms.PINNED_IMAGE,
            ["demo:1", "mirror.example:5000/a/b:v1.2", f"a@sha256:{'0' * 64}", "a:1@sha256:0"],
            ["demo", "mirror.example:5000/a", "a:", "a:1/b", "a b:1", "a:1 "],
            id="pinned-image",
        ),
        pytest.param(
            forms.COMMAND,
            ["", "/bin/sh", "a b", "$HOME", "$$", "a$"],
            ["${HOME}", "a$${b}", "${NOMAD_REGION}"],
            id="command",
        ),
        pytest.param(
            forms.ARGUMENT,
            [
                "",
                "$",
                "$$",
                "{}",
                "$HOME}",
                "a\nb",
                "${NOMAD_REGION}",
                "$${NOMAD_DC}",
                "x${NOMAD_PORT_p3000}y${NOMAD_ADDR_p80}$",
                "${NOMAD_ALLOC_INDEX}${NOMAD_SHORT_ALLOC_ID}${NOMAD_JOB_NAME}",
                "${NOMAD_HOST_PORT_p1}${NOMAD_IP_p1}${NOMAD_ALLOC_ID}",
            ],
            [
                "${attr.unique.hostname}",
                "${node.unique.id}",
                "${meta.rack}",
                "${device.x}",
                "${env.HOME}",
                "${HOME}",
                "${",
                "${}",
                "$${x}",
                "${NOMAD_TOKEN}",
                "${NOMAD_META_owner}",
                "${NOMAD_PORT_}",
                "${NOMAD_REGION",
                "${NOMAD_REGION}${attr.x}",
                "${NOMAD_DC ${attr.x}}",
                "\n${attr.x}",
            ],
            id="argument",
        ),
        pytest.param(
            forms.ROUTE_PATH,
            ["/", "/a/b-c", "/%20"],
            ["", "a", "/a b", "/$", "/a?b", "/`"],
            id="path",
        ),
        pytest.param(forms.CHECK_PATH, ["/", "/a?b=c"], ["", "/a b", "/${x}"], id="check-path"),
        pytest.param(forms.ENV_NAME, ["A", "_a1"], ["", "1A", "A-B", "A=", "${X}"], id="env-name"),
        pytest.param(forms.DATA_CENTER, ["fra1", "DC-2"], ["", "*", "a b", "-a"], id="data-center"),
        pytest.param(forms.NOMAD_DRIVER, ["docker", "raw_exec"], ["", "Docker"], id="nomad-driver"),
        pytest.param(
            forms.NOMAD_ADDRESS,
            [
                "https://nomad.fra.example:4646",
                "https://10.0.0.1",
                "https://[2001:db8::1]:4646",
                "http://127.0.0.1:4646",
                "http://127.255.255.255:65535",
                "http://localhost:4646",
                "http://[::1]:4646",
            ],
            [
                "",
                "nomad:4646",
                "http://nomad.fra.example:4646",
                "http://10.0.0.1:4646",
                "http://127.0.0.1.example:4646",
                "http://127.0.0.256:4646",
                "http://127.0.0:4646",
                "http://localhost.example",
                "http://[::2]:4646",
                "https://user@host:4646",
                "https://host:4646/",
                "https://host:4646/v1",
                "https://host?x",
                "https://host:0",
                "https://host:65536",
                "https://host:4646 ",
                "ftp://host",
            ],
            id="nomad-address",
        ),
        pytest.param(forms.COUNTRY, ["DE"], ["", "de", "DEU", "D1"], id="country"),
    ],
)
def test_form_takes_and_refuses(form: Form, taken: list[str], refused: list[str]) -> None:
    assert [text for text in taken if not accepts(form, text)] == []
    assert [text for text in refused if accepts(form, text)] == []


def test_every_expression_of_the_api_is_a_form_with_words() -> None:
    found = {
        pattern
        for definition in DEFINITIONS
        for pattern in patterns(definition.model.model_json_schema())
    }

    assert found <= forms.ALLOWED.keys()
    assert len(forms.ALLOWED) == len(forms.FORMS)


def patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for below in schema.values():
            yield from patterns(below)
    if isinstance(schema, list):
        for below in schema:
            yield from patterns(below)
