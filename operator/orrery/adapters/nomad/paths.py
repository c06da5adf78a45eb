"""Build request targets from names. Pure.

Names become parts of URLs, and a name with a slash, a dot-dot or a question mark would name another
resource, under the same token. So each is held to a strict pattern before it is quoted: nothing is
sent for a name that does not fit.
"""

import re
from urllib.parse import quote, urlencode

from orrery.api.conditions import Reason
from orrery.errors import InvalidSpec

_JOB = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.)){0,127}")
_NAMESPACE = re.compile(r"[A-Za-z0-9-]{1,128}")
_ALLOCATION = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TASK = re.compile(r"[A-Za-z0-9_-]{1,128}")
_VARIABLE = re.compile(r"(?=.{1,128}\Z)[A-Za-z0-9_~-]+(?:/[A-Za-z0-9_~-]+)*")


def job_path(namespace: str, job_id: str, part: str = "", **query: str | int) -> str:
    """Name a job, or with *part* one of its collections."""
    job = quote(_checked(_JOB, "job id", job_id), safe="")
    return _target(f"/v1/job/{job}{part}", {"namespace": _namespace(namespace), **query})


def variable_target(namespace: str, path: str, **query: str | int) -> str:
    """Name a variable."""
    checked = quote(_checked(_VARIABLE, "variable path", path), safe="/")
    return _target(f"/v1/var/{checked}", {"namespace": _namespace(namespace), **query})


def log_target(allocation: str, task: str) -> str:
    """Name what a task of an allocation has printed, as plain text from its beginning."""
    one = _checked(_ALLOCATION, "allocation id", allocation)
    query: dict[str, str | int] = {"task": _checked(_TASK, "task", task)}
    return _target(f"/v1/client/fs/logs/{one}", {**query, "type": "stdout", "plain": "true"})


def namespace_path(name: str) -> str:
    """Name a namespace."""
    return _target(f"/v1/namespace/{_namespace(name)}", {})


def policy_path(name: str) -> str:
    """Name an ACL policy."""
    return _target(f"/v1/acl/policy/{_checked(_NAMESPACE, 'ACL policy', name)}", {})


def token_path(accessor: str) -> str:
    """Name an ACL token by its accessor, which is no secret."""
    return _target(f"/v1/acl/token/{_checked(_ALLOCATION, 'token accessor', accessor)}", {})


def collection(path: str, **query: str | int) -> str:
    """Name a collection of the whole region, such as ``/v1/nodes``."""
    return _target(path, query)


def _namespace(name: str) -> str:
    return _checked(_NAMESPACE, "namespace", name)


def _checked(pattern: re.Pattern[str], what: str, value: str) -> str:
    if not pattern.fullmatch(value):
        raise InvalidSpec(Reason.INVALID_SPEC, f"{value[:128]!a} cannot be used as a Nomad {what}")
    return value


def _target(path: str, query: dict[str, str | int]) -> str:
    return f"{path}?{urlencode(query, quote_via=quote)}" if query else path
