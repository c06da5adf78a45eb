"""The calls about namespaces, variables and ACLs."""

from http import HTTPStatus

from orrery.sim import variables, wire
from orrery.sim.calls import Call, Reply, missing, paged
from orrery.sim.records import Variable
from orrery.sim.refusal import Refusal, bad_request, denied
from orrery.sim.tenancy import token_document
from orrery.sim.variables import VariableConflict


def list_namespaces(call: Call) -> Reply:
    """List the namespaces in which the token may do anything."""
    access, tables = call.access, call.region.core.tables
    prefix = call.query.get("prefix", "")
    seen = [n for n in sorted(tables.namespaces) if access.may_see(n) and n.startswith(prefix)]
    body = [wire.namespace_document(tables.namespaces[name]) for name in seen]
    return Reply(body, index=tables.indexes["namespaces"], watch=(("namespaces",),))


def read_namespace(call: Call) -> Reply:
    """Read a namespace."""
    name = call.parts[0]
    if not call.access.may_see(name):
        raise denied()
    tables = call.region.core.tables
    namespace = tables.namespaces.get(name)
    watch = (("namespaces", "", name),)
    if namespace is None:
        index = tables.indexes["namespaces"]
        return missing("Namespace not found", index=index, watch=watch)
    body = wire.namespace_document(namespace)
    return Reply(body, index=namespace.modify_index, watch=watch)


def put_namespace(call: Call) -> Reply:
    """Create or change a namespace."""
    given = call.json()
    name = str(given.get("Name") or "")
    if call.parts and call.parts[0] != name:
        raise bad_request("Namespace name does not match request path")
    _demand_management(call)
    index = call.region.tenancy.put_namespace(name, str(given.get("Description") or ""))
    return Reply(empty=True, index=index)


def delete_namespace(call: Call) -> Reply:
    """Delete a namespace."""
    _demand_management(call)
    return Reply(empty=True, index=call.region.tenancy.delete_namespace(call.parts[0]))


def list_variables(call: Call) -> Reply:
    """List the variables that the token may list, without their items."""
    access, tables, namespace = call.access, call.region.core.tables, call.namespace
    prefix = call.query.get("prefix", "")
    keys = [
        key
        for key in sorted(tables.variables)
        if namespace in {"*", key[0]}
        and key[1].startswith(prefix)
        and access.may_use_variable(*key, "list")
    ]
    page, token = paged(call, keys, lambda key: key)
    body = [wire.variable_metadata(tables.variables[key]) for key in page]
    watch = ("variables",) if namespace == "*" else ("variables", namespace)
    return Reply(body, index=tables.indexes["variables"], next_token=token, watch=(watch,))


def read_variable(call: Call) -> Reply:
    """Read a variable with its items."""
    path = call.parts[0]
    _demand_variable(call, "read")
    core = call.region.core
    variable = variables.read(core, call.namespace, path)
    watch = (("variables", call.namespace, path),)
    if variable is None:
        return missing("variable not found", index=core.tables.indexes["variables"], watch=watch)
    body = wire.variable_document(variable)
    return Reply(body, index=variable.modify_index, watch=watch)


def put_variable(call: Call) -> Reply:
    """Write a variable, by compare-and-set if asked."""
    expected = _cas(call)
    given = call.json()
    items = given.get("Items") or {}
    if not items:
        raise bad_request("variable missing required Items object")
    for value in items.values():
        if not isinstance(value, str):
            kind = "number" if isinstance(value, int | float) else "object"
            raise bad_request(
                f"json: cannot unmarshal {kind} into Go struct field"
                " VariableDecrypted.Items of type string"
            )
    namespace = call.query.get("namespace") or given.get("Namespace") or "default"
    if not call.access.may_use_variable(namespace, call.parts[0], "write"):
        raise Refusal(HTTPStatus.FORBIDDEN, "Permission denied", index=0)
    try:
        variable = variables.write(
            call.region.core, namespace, call.parts[0], items, expected=expected
        )
    except VariableConflict as conflict:
        return _conflict(conflict.current)
    return Reply(wire.variable_document(variable), index=variable.modify_index)


def delete_variable(call: Call) -> Reply:
    """Delete a variable, by compare-and-set if asked."""
    expected = _cas(call)
    _demand_variable(call, "destroy")
    try:
        index = variables.delete(call.region.core, call.namespace, call.parts[0], expected=expected)
    except VariableConflict as conflict:
        return _conflict(conflict.current)
    return Reply(empty=True, status=HTTPStatus.NO_CONTENT, index=index)


def put_policy(call: Call) -> Reply:
    """Create or change an ACL policy."""
    given = call.json()
    _demand_management(call)
    index = call.region.tenancy.put_policy(call.parts[0], str(given.get("Rules") or ""))
    return Reply(empty=True, index=index)


def put_token(call: Call) -> Reply:
    """Create an ACL token."""
    given = call.json()
    _demand_management(call)
    token = call.region.tenancy.put_token(
        name=str(given.get("Name") or ""),
        policies=tuple(given.get("Policies") or ()),
        management=given.get("Type") == "management",
    )
    body = token_document(token, wire.timestamp(int(token.create_time * 1e9)))
    return Reply(body, index=token.create_index)


def _demand_management(call: Call) -> None:
    if not call.access.management:
        raise denied()


def _demand_variable(call: Call, capability: str) -> None:
    if not call.access.may_use_variable(call.namespace, call.parts[0], capability):
        raise denied()


def _cas(call: Call) -> int | None:
    text = call.query.get("cas")
    if text is None:
        return None
    if not text.isdigit():
        raise bad_request(f'can not parse cas: strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def _conflict(current: Variable) -> Reply:
    return Reply(
        wire.variable_document(current), status=HTTPStatus.CONFLICT, index=current.modify_index
    )
