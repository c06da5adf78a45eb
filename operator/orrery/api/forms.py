r"""The forms of text that fields accept, each with the words that explain it to users. Pure.

A form is one regular expression that three engines read alike: RE2 in the API server, Rust's in
pydantic, and the reader's. So character classes are spelled out: what `\s` and `\w` mean differs.
"""

from typing import Final, NamedTuple

from pydantic import Field


class Form(NamedTuple):
    """A regular expression, and what completes the sentence "must be ..."."""

    pattern: str
    allowed: str

    def text(self, *, max_length: int) -> object:
        """Annotate a string of this form with at most *max_length* characters."""
        return Field(pattern=self.pattern, max_length=max_length)


_HOST = r"([a-zA-Z0-9][-.a-zA-Z0-9]*|\[[0-9a-fA-F:.]+\])"
_OCTET = r"(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_LOOPBACK = rf"(localhost|127(\.{_OCTET}){{3}}|\[::1\])"
_PORT_NUMBER = (
    r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
)
_PORT = rf"(:{_PORT_NUMBER})?"

_VARIABLES: Final = (
    "ALLOC_(DIR|ID|INDEX|NAME)|CPU_LIMIT|DC|JOB_(ID|NAME)|MEMORY_(MAX_)?LIMIT|NAMESPACE|REGION"
    "|SECRETS_DIR|SHORT_ALLOC_ID|TASK_DIR|((HOST_)?PORT|IP|ADDR)_[a-zA-Z0-9_]+"
)
"""What Nomad itself tells every instance of itself: nothing of the machine or of other jobs."""

LABEL: Final = Form(
    r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
    "lower-case letters, digits and '-', beginning with a letter and not ending with '-'",
)
"""An RFC 1035 label, which Kuma 3 demands of zones and DNS of names."""

OPTIONAL_LABEL: Final = Form(r"^([a-z]([-a-z0-9]*[a-z0-9])?)?$", f"empty, or {LABEL.allowed}")

OBJECT_NAME: Final = Form(
    r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
    "the name of an object: lower-case letters, digits, '-' and '.'",
)

SECRET_KEY: Final = Form(r"^[-._a-zA-Z0-9]+$", "letters, digits, '-', '_' and '.'")

DURATION: Final = Form(
    r"^([0-9]{1,5}(ms|s|m|h))+$", "a duration such as 30s, 5m or 1h30m (units ms, s, m and h)"
)
"""At most five digits: what all fields accept together stays inside 64 bits of nanoseconds."""

SHARE: Final = Form(r"^([1-9][0-9]?|100)%$", "a share such as 25%, from 1% to 100%")

IMAGE: Final = Form(
    r"^[a-zA-Z0-9][-a-zA-Z0-9._/:@]*$",
    "an image reference such as docker.io/koyeb/demo:1.4, without spaces: letters, digits"
    " and . _ - / : @",
)

PINNED_IMAGE: Final = Form(
    r"^[a-zA-Z0-9][-a-zA-Z0-9._/:@]*(:[a-zA-Z0-9_][-a-zA-Z0-9._]*|@sha256:[0-9a-f]{64})$",
    "an image with a tag or a digest, such as docker.io/hashicorp/nomad:2.0.6",
)
"""What runs a region changes when its class does, and not with what a registry has today."""

COMMAND: Final = Form(r"^([^$]|\$+[^${])*\$*$", "text without ${")

ARGUMENT: Final = Form(
    rf"^([^$]|\$+([^${{]|\{{NOMAD_({_VARIABLES})\}}))*\$*$",
    "text in which ${ begins nothing but one of Nomad's own runtime variables, such as"
    " ${NOMAD_PORT_p3000}, ${NOMAD_ALLOC_INDEX} or ${NOMAD_REGION}",
)
"""Nomad has no escape for `${`, and some of what it fills in tells of the machine: an allow-list."""

ROUTE_PATH: Final = Form(
    r"^/[-a-zA-Z0-9._~!&'()*+,;=:@%/]*$",
    "a URL path that begins with / (letters, digits and - . _ ~ ! & ' ( ) * + , ; = : @ % /)",
)

CHECK_PATH: Final = Form(
    r"^/[-a-zA-Z0-9._~!&'()*+,;=:@%/?]*$", f"{ROUTE_PATH.allowed}, a query after ? included"
)

ENV_NAME: Final = Form(
    r"^[A-Za-z_][A-Za-z0-9_]*$", "letters, digits and '_', not beginning with a digit"
)

DATA_CENTER: Final = Form(
    r"^[a-zA-Z0-9][-_a-zA-Z0-9]*$", "letters, digits, '-' and '_', beginning with a letter or digit"
)

NOMAD_DRIVER: Final = Form(
    r"^[a-z][-_a-z0-9]*$", "the name of a Nomad task driver such as docker or raw_exec"
)

NOMAD_ADDRESS: Final = Form(
    rf"^(https://{_HOST}|http://{_LOOPBACK}){_PORT}$",
    "https://HOST:PORT without a path (http:// for loopback addresses only: 127.0.0.0/8,"
    " localhost and [::1])",
)

COUNTRY: Final = Form(r"^[A-Z]{2}$", "an ISO 3166 country code of two capital letters such as DE")

CPU_QUANTITY: Final = Form(
    r"^([0-9]{1,9}m|[0-9]{1,6}(\.[0-9]{1,3})?)$", "an amount of CPU such as 500m, 2 or 1.5"
)

BYTES_QUANTITY: Final = Form(
    r"^[0-9]{1,9}(\.[0-9]{1,3})?(k|M|G|T|Ki|Mi|Gi|Ti)$",
    "an amount of bytes with its unit, such as 512Mi or 10Gi",
)

NAME_PREFIX: Final = Form(
    r"^[a-z][-a-z0-9]*-$",
    "lower-case letters, digits and '-', beginning with a letter and ending with '-'",
)

CIDR: Final = Form(
    rf"^({_OCTET}(\.{_OCTET}){{3}}/(3[0-2]|[12]?[0-9])|[0-9a-fA-F:]*:[0-9a-fA-F:.]*/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$",
    "a range of addresses such as 203.0.113.0/24 or 2001:db8::/32",
)

MIRROR: Final = Form(
    r"^[a-zA-Z0-9][-a-zA-Z0-9.]*(:[0-9]{1,5})?(/[-a-z0-9._]+)*$",
    "a registry such as mirror.eu.example or mirror.eu.example:5000/cache, without https://",
)

HOST_NAME: Final = Form(
    r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$",
    "a DNS name such as fra.regions.example, of labels with at most 63 characters, or an IPv4"
    " address",
)

HOST_PORT: Final = Form(
    rf"^{_HOST}:{_PORT_NUMBER}$",
    "HOST:PORT with a DNS name or an address, such as mesh.example:5685 or [2001:db8::1]:5685",
)

FORMS: Final = (
    LABEL,
    OPTIONAL_LABEL,
    OBJECT_NAME,
    SECRET_KEY,
    DURATION,
    IMAGE,
    PINNED_IMAGE,
    COMMAND,
    ARGUMENT,
    ROUTE_PATH,
    CHECK_PATH,
    ENV_NAME,
    DATA_CENTER,
    NOMAD_DRIVER,
    NOMAD_ADDRESS,
    COUNTRY,
    CPU_QUANTITY,
    BYTES_QUANTITY,
    NAME_PREFIX,
    CIDR,
    MIRROR,
    HOST_NAME,
    HOST_PORT,
)

ALLOWED: Final = {form.pattern: form.allowed for form in FORMS}
"""What a pattern allows, in words."""
