"""The calls about the region itself: agent, machines, and what runs in it, whosever it is."""

from collections.abc import Callable, Mapping
from typing import Any

from orrery.sim import wire
from orrery.sim.calls import Call, Reply, missing, paged
from orrery.sim.machines import PRERELEASE, VERSION
from orrery.sim.records import Allocation
from orrery.sim.refusal import denied, failed
from orrery.sim.wire_allocations import allocated_resources, allocation_document, allocation_stub

LEADER = "127.0.0.1:4647"
UUID_LENGTH = 36


def leader(_call: Call) -> Reply:
    """Name the leader."""
    return Reply(LEADER)


def peers(_call: Call) -> Reply:
    """Name the servers."""
    return Reply([LEADER])


def regions(call: Call) -> Reply:
    """Name the regions that this one knows."""
    return Reply([call.region.name])


def health(_call: Call) -> Reply:
    """Say that all is well."""
    return Reply({"server": {"ok": True, "message": "ok"}})


def agent(call: Call) -> Reply:
    """Describe the server that answers."""
    if not call.access.may_on("agent", "read"):
        raise denied()
    name = call.region.name
    version = {
        "BuildDate": None,
        "Revision": "",
        "Version": VERSION,
        "VersionMetadata": "",
        "VersionPrerelease": PRERELEASE,
    }
    tags = {"region": name, "dc": "dc1", "role": "nomad", "build": f"{VERSION}-{PRERELEASE}"}
    member = {
        "Name": f"server-1.{name}",
        "Addr": "127.0.0.1",
        "Port": 4648,
        "Status": "alive",
        "Tags": tags,
    }
    stats = {"nomad": {"server": "true", "leader": "true", "leader_addr": LEADER}}
    acl = {"Enabled": True}
    config = {"Region": name, "Datacenter": "dc1", "Version": version, "ACL": acl}
    return Reply({"config": config, "member": member, "stats": stats})


def autopilot(call: Call) -> Reply:
    """Say how the one server is: it answers, so it is well."""
    if not call.access.may_on("operator", "read"):
        raise denied()
    server = {
        "ID": "00000000-0000-0000-0000-000000000001",
        "Name": f"server-1.{call.region.name}",
        "Address": LEADER,
        "SerfStatus": "alive",
        "Version": VERSION,
        "Leader": True,
        "LastContact": "0s",
        "LastTerm": 1,
        "LastIndex": 1,
        "Healthy": True,
        "Voter": True,
        "StableSince": "2026-01-01T00:00:00Z",
    }
    return Reply({"Healthy": True, "FailureTolerance": 0, "Servers": [server]})


def list_nodes(call: Call) -> Reply:
    """List the machines."""
    if not call.access.may_on("node", "read"):
        raise denied()
    tables = call.region.core.tables
    nodes = [tables.nodes[one] for one in sorted(tables.nodes)]
    if prefix := call.query.get("prefix"):
        nodes = [node for node in nodes if node.id.startswith(prefix)]
    page, token = paged(call, nodes, lambda node: (node.id,))
    resources = call.flag("resources")
    return Reply(
        [wire.node_stub(node, resources=resources) for node in page],
        index=tables.indexes["nodes"],
        next_token=token,
        watch=(("nodes",),),
    )


def list_allocations(call: Call) -> Reply:
    """List allocations of one namespace or of all."""

    def render(allocation: Allocation) -> dict[str, Any]:
        stub = allocation_stub(allocation)
        if call.flag("resources"):
            group = allocation.spec.groups[allocation.group]
            stub["AllocatedResources"] = allocated_resources(allocation, group)
        return stub

    return _list(call, "allocations", render)


def list_deployments(call: Call) -> Reply:
    """List deployments of one namespace or of all."""
    return _list(call, "deployments", wire.deployment_document)


def list_evaluations(call: Call) -> Reply:
    """List evaluations of one namespace or of all."""
    return _list(call, "evaluations", wire.evaluation_document)


def read_allocation(call: Call) -> Reply:
    """Read an allocation with its job."""

    def render(allocation: Allocation) -> dict[str, Any]:
        document = allocation_document(allocation)
        job = call.region.core.tables.jobs.get(allocation.key)
        return document | {"Job": call.region.document(job) if job else None}

    return _read(call, "allocations", "alloc", render)


def read_deployment(call: Call) -> Reply:
    """Read a deployment."""
    return _read(call, "deployments", "deployment", wire.deployment_document)


def read_evaluation(call: Call) -> Reply:
    """Read an evaluation."""
    return _read(call, "evaluations", "eval", wire.evaluation_document)


def list_services(call: Call) -> Reply:
    """List the names of registered services by namespace."""
    access, tables = call.access, call.region.core.tables
    if call.namespace != "*":
        access.demand(call.namespace, "read-job")
    found: dict[str, dict[str, set[str]]] = {}
    for allocation, service in _services(call, call.namespace):
        if access.may(allocation.namespace, "read-job"):
            tags = found.setdefault(allocation.namespace, {}).setdefault(service["Name"], set())
            tags |= set(service["Tags"] or ())
    body = [
        {
            "Namespace": namespace,
            "Services": [
                {"ServiceName": name, "Tags": sorted(tags)} for name, tags in sorted(names.items())
            ],
        }
        for namespace, names in sorted(found.items())
    ]
    return Reply(body, index=tables.indexes["allocations"], watch=(("allocations",),))


def read_service(call: Call) -> Reply:
    """List the instances of one service."""
    call.access.demand(call.namespace, "read-job")
    tables = call.region.core.tables
    body = []
    for allocation, service in _services(call, call.namespace):
        if service["Name"] != call.parts[0]:
            continue
        ports = {label: value for label, value, _ in allocation.ports}
        label = service["PortLabel"]
        body.append(
            {
                "ID": f"_nomad-task-{allocation.id}-group-{allocation.group}"
                f"-{service['Name']}-{label}",
                "ServiceName": service["Name"],
                "Namespace": allocation.namespace,
                "NodeID": allocation.node_id,
                "Datacenter": tables.nodes[allocation.node_id].machine.datacenter,
                "JobID": allocation.job_id,
                "AllocID": allocation.id,
                "Tags": service["Tags"],
                "Address": "127.0.0.1",
                "Port": ports.get(label, 0),
                "CreateIndex": allocation.create_index,
                "ModifyIndex": allocation.modify_index,
            }
        )
    return Reply(body, index=tables.indexes["allocations"], watch=(("allocations",),))


def _list(call: Call, table: str, render: Callable[[Any], dict[str, Any]]) -> Reply:
    access, tables, namespace = call.access, call.region.core.tables, call.namespace
    if namespace != "*":
        access.demand(namespace, "read-job")
    rows: Mapping[str, Any] = getattr(tables, table)
    prefix = call.query.get("prefix", "")
    seen = [
        row
        for row in rows.values()
        if namespace in {"*", row.namespace}
        and row.id.startswith(prefix)
        and access.may(row.namespace, "read-job")
    ]
    page, token = paged(
        call,
        sorted(seen, key=lambda row: (row.create_index, row.id)),
        lambda row: (f"{row.create_index:020d}", row.id),
    )
    watch = (table,) if namespace == "*" else (table, namespace)
    body = [render(row) for row in page]
    return Reply(body, index=tables.indexes[table], next_token=token, watch=(watch,))


def _read(call: Call, table: str, word: str, render: Callable[[Any], dict[str, Any]]) -> Reply:
    one = call.parts[0]
    if len(one) != UUID_LENGTH:
        raise failed(
            f"failed to lookup {word}: {word} lookup failed: index error:"
            " UUID must be 36 characters"
        )
    access, tables = call.access, call.region.core.tables
    rows: Mapping[str, Any] = getattr(tables, table)
    row = rows.get(one)
    access.demand(row.namespace if row else call.namespace, "read-job")
    if row is None:
        return missing(f"{word} not found", index=tables.indexes[table], watch=((table,),))
    watch = ((table, row.namespace, row.id),)
    return Reply(render(row), index=row.modify_index, watch=watch)


def _services(call: Call, namespace: str) -> list[tuple[Allocation, dict[str, Any]]]:
    """Return the services of instances that run, with Nomad as their registry."""
    return [
        (allocation, service)
        for allocation in call.region.core.tables.allocations.values()
        if allocation.client_status == "running" and namespace in {"*", allocation.namespace}
        for service in allocation.spec.groups[allocation.group]["Services"] or ()
        if service["Provider"] == "nomad"
    ]
