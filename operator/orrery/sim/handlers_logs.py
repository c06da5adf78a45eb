"""What tasks have printed: Nomad asks their machine, here their job tells."""

from http import HTTPStatus

from orrery.sim.absence import READY
from orrery.sim.calls import Call, Reply
from orrery.sim.refusal import Refusal, bad_request, denied, failed

_STREAMS = ("stdout", "stderr")


def read_log(call: Call) -> Reply:
    """Read what a task has printed, as plain text from its beginning."""
    task, stream, one = call.query.get("task", ""), call.query.get("type", ""), call.parts[0]
    if not task:
        raise bad_request("must provide task name")
    if stream not in _STREAMS:
        raise bad_request("must provide log type (stdout/stderr)")
    allocation = call.region.core.tables.allocations.get(one)
    if allocation is None:
        raise Refusal(HTTPStatus.NOT_FOUND, f'Unknown allocation "{one}"')
    if not call.access.may(allocation.namespace, "read-fs", "read-logs"):
        raise denied()
    if call.region.core.tables.nodes[allocation.node_id].status != READY:
        raise Refusal(HTTPStatus.NOT_FOUND, "No path to node")
    if not call.flag("plain"):
        raise failed("a simulated region has logs as plain text only")
    tasks = allocation.spec.groups[allocation.group]["Tasks"]
    states = dict(zip((t["Name"] for t in tasks), allocation.tasks, strict=False))
    if task not in states:
        raise bad_request(f'unknown task name "{task}"')
    if not states[task].started:
        text = f'task "{task}" not started yet. No logs available'
        raise Refusal(HTTPStatus.NOT_FOUND, text)
    config = next(t["Config"] or {} for t in tasks if t["Name"] == task)
    return Reply(text=str(config.get("stdout_string", "")) if stream == "stdout" else "")
