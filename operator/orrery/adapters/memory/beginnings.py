"""What a region in memory begins with: a machine, and servers that are well. Pure."""

from orrery.ports import AutopilotHealth, Node, ServerHealth


def one_machine(region: str) -> Node:
    """Make a machine that is ready, in the first data center of *region*."""
    return Node(
        id="n1",
        name="n1",
        datacenter=f"{region}1",
        status="ready",
        eligible=True,
        drivers=frozenset({"docker"}),
        cpu_mhz=4000,
        memory_mb=8192,
    )


def well_servers(region: str, count: int) -> AutopilotHealth:
    """Make *count* servers of *region*, of which the first leads."""
    servers = [
        ServerHealth(
            name=f"server-{number}.{region}",
            leader=number == 1,
            voter=True,
            healthy=True,
            stable_since="2025-12-31T00:00:00Z",
        )
        for number in range(1, count + 1)
    ]
    return AutopilotHealth(healthy=True, failure_tolerance=(count - 1) // 2, servers=servers)
