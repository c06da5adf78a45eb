"""Jobs for the contract: small ones that live and die as told, and one with everything."""

from typing import Any

Document = dict[str, Any]

SECOND = 1_000_000_000
MILLISECOND = 1_000_000

FOREVER = {"run_for": "1h"}
FAILS = {"run_for": "30ms", "exit_code": 3}


def a_job(
    job_id: str, *, count: int = 1, config: Document | None = None, **fields: Any
) -> Document:
    """A service on the mock driver; *fields* are of the job."""
    job = {
        "ID": job_id,
        "Name": job_id,
        "Type": "service",
        "Namespace": "default",
        "Datacenters": ["*"],
        "TaskGroups": [
            {
                "Name": "instances",
                "Count": count,
                "RestartPolicy": {
                    "Attempts": 0,
                    "Mode": "fail",
                    "Interval": 5 * SECOND,
                    "Delay": SECOND,
                },
                "ReschedulePolicy": {"Attempts": 0, "Unlimited": False},
                "Update": {
                    "MaxParallel": 1,
                    "AutoRevert": True,
                    "HealthCheck": "task_states",
                    "MinHealthyTime": 100 * MILLISECOND,
                    "HealthyDeadline": 10 * SECOND,
                    "ProgressDeadline": 20 * SECOND,
                },
                "Tasks": [
                    {
                        "Name": "app",
                        "Driver": "mock_driver",
                        "Config": config or FOREVER,
                        "Resources": {"CPU": 20, "MemoryMB": 10},
                    }
                ],
            }
        ],
        **fields,
    }
    return fail(job) if config is FAILS else job


def fail(job: Document) -> Document:
    """Let the instances of a job fail, on a slow machine, too, before they are found healthy."""
    task_of(job)["Config"] = FAILS
    group_of(job)["Update"]["MinHealthyTime"] = SECOND
    return job


def group_of(job: Document) -> Document:
    group: Document = job["TaskGroups"][0]
    return group


def task_of(job: Document) -> Document:
    task: Document = group_of(job)["Tasks"][0]
    return task


def a_full_job(job_id: str, *, count: int = 2) -> Document:
    """A job with all that Orrery ever renders."""
    return {
        "ID": job_id,
        "Name": job_id,
        "Type": "service",
        "Namespace": "default",
        "Datacenters": ["*"],
        "Meta": {"owner": "tests", "name": "full"},
        "UI": {"Description": "Managed by a test"},
        "Affinities": [
            {
                "LTarget": "${node.datacenter}",
                "Operand": "set_contains_any",
                "RTarget": "fra1,fra2",
                "Weight": 50,
            }
        ],
        "Spreads": [
            {
                "Attribute": "${node.datacenter}",
                "Weight": 50,
                "SpreadTarget": [
                    {"Value": "fra1", "Percent": 60},
                    {"Value": "fra2", "Percent": 40},
                ],
            }
        ],
        "TaskGroups": [
            {
                "Name": "instances",
                "Count": count,
                "Networks": [
                    {
                        "DynamicPorts": [
                            {"Label": "p3000", "To": 3000},
                            {"Label": "p4000", "To": 0},
                        ]
                    }
                ],
                "Services": [
                    {
                        "Name": "shop-3000",
                        "Provider": "nomad",
                        "PortLabel": "p3000",
                        "Tags": ["protocol=http", "route=/"],
                        "Checks": [
                            {
                                "Name": "http-1",
                                "Type": "http",
                                "Path": "/",
                                "Interval": 10 * SECOND,
                                "Timeout": 2 * SECOND,
                                "CheckRestart": {"Limit": 3, "Grace": 10 * SECOND},
                            },
                            {
                                "Name": "tcp-2",
                                "Type": "tcp",
                                "Interval": 10 * SECOND,
                                "Timeout": 2 * SECOND,
                            },
                        ],
                    },
                    {
                        "Name": "shop-4000",
                        "Provider": "nomad",
                        "PortLabel": "p4000",
                        "Tags": [],
                        "Checks": [],
                    },
                ],
                "RestartPolicy": {
                    "Attempts": 2,
                    "Interval": 1800 * SECOND,
                    "Delay": 15 * SECOND,
                    "Mode": "fail",
                },
                "Disconnect": {
                    "LostAfter": 3600 * SECOND,
                    "Replace": True,
                    "Reconcile": "best_score",
                },
                "ReschedulePolicy": {
                    "Unlimited": True,
                    "Delay": 30 * SECOND,
                    "DelayFunction": "exponential",
                    "MaxDelay": 600 * SECOND,
                },
                "Update": {
                    "MaxParallel": 1,
                    "Canary": 0,
                    "AutoPromote": False,
                    "AutoRevert": True,
                    "HealthCheck": "checks",
                    "MinHealthyTime": 10 * SECOND,
                    "HealthyDeadline": 300 * SECOND,
                    "ProgressDeadline": 600 * SECOND,
                },
                "Tasks": [
                    {
                        "Name": "app",
                        "Driver": "docker",
                        "Config": {
                            "image": "shop/web:1",
                            "command": "serve",
                            "args": ["--port", "3000"],
                            "ports": ["p3000"],
                        },
                        "Env": {"A": "1"},
                        "Templates": [
                            {
                                "DestPath": "secrets/env",
                                "EmbeddedTmpl": "KEY=value",
                                "Envvars": True,
                                "ChangeMode": "restart",
                                "Perms": "0400",
                            }
                        ],
                        "Resources": {"CPU": 100, "MemoryMB": 64, "MemoryMaxMB": 0},
                    }
                ],
            }
        ],
    }
