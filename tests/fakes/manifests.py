"""Manifests as control planes have them: one of each kind, with fields that servers treat oddly."""

from typing import Any

from orrery.names import region_labels

Manifest = dict[str, Any]


def a_manifest(kind: str, name: str = "", **body: Any) -> Manifest:
    """Make an object of *kind* in the namespace of the region fra."""
    return {
        "apiVersion": VERSIONS[kind],
        "kind": kind,
        "metadata": {
            "name": name or f"fra-{kind.lower()}",
            "namespace": "orrery-fra",
            "labels": region_labels("orrery", "fra"),
        },
        **body,
    }


def a_namespace() -> Manifest:
    namespace = a_manifest("Namespace", "orrery-fra")
    del namespace["metadata"]["namespace"]
    namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted"
    return namespace


def a_service() -> Manifest:
    return a_manifest(
        "Service",
        spec={
            "type": "LoadBalancer",
            "externalTrafficPolicy": "Local",
            "publishNotReadyAddresses": False,
            "loadBalancerSourceRanges": ["10.0.0.0/8"],
            "selector": {"app": "front-door"},
            "ports": [
                {"name": "rpc", "port": 4647, "targetPort": 4647},
                {"name": "http", "port": 4646, "targetPort": "http", "protocol": "TCP"},
            ],
        },
    )


def a_pod() -> Manifest:
    """Make a template of pods."""
    return {
        "metadata": {"labels": {"app": "nomad"}, "annotations": {}},
        "spec": {
            "automountServiceAccountToken": False,
            "hostNetwork": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "terminationGracePeriodSeconds": 30,
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"app": "nomad"}},
                }
            ],
            "containers": [
                {
                    "name": "nomad",
                    "image": "registry.example/nomad:2.0.6",
                    "command": ["nomad"],
                    "args": ["agent", "-config=/etc/nomad"],
                    "env": [
                        {"name": "AMOUNT", "value": "0.50"},
                        {"name": "NOTHING", "value": ""},
                        {
                            "name": "POD_IP",
                            "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}},
                        },
                    ],
                    "ports": [
                        {"name": "rpc", "containerPort": 4647},
                        {"name": "serf", "containerPort": 4648, "protocol": "UDP"},
                    ],
                    "resources": {
                        "requests": {"cpu": 0.5, "memory": "1024Mi"},
                        "limits": {"memory": "1Gi"},
                    },
                    "readinessProbe": {"tcpSocket": {"port": "rpc"}, "periodSeconds": 5},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [
                        {"name": "scratch", "mountPath": "/tmp"},
                        {"name": "tls", "mountPath": "/tls", "readOnly": False},
                    ],
                }
            ],
            "volumes": [
                {"name": "scratch", "emptyDir": {}},
                {"name": "tls", "secret": {"secretName": "fra-nomad-tls"}},
            ],
        },
    }


def a_stateful_set() -> Manifest:
    return a_manifest(
        "StatefulSet",
        spec={
            "serviceName": "fra-nomad",
            "replicas": 3,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": "nomad"}},
            "updateStrategy": {"type": "OnDelete"},
            "template": a_pod(),
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": "data"},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "10240Mi"}},
                    },
                }
            ],
        },
    )


def a_deployment() -> Manifest:
    pods = {"selector": {"matchLabels": {"app": "nomad"}}, "template": a_pod()}
    return a_manifest("Deployment", spec={"replicas": 2, "paused": False, **pods})


def a_job() -> Manifest:
    template = a_pod()
    template["spec"]["restartPolicy"] = "OnFailure"
    return a_manifest("Job", spec={"backoffLimit": 0, "template": template})


def a_cron_job() -> Manifest:
    spec = {
        "schedule": "0 * * * *",
        "concurrencyPolicy": "Forbid",
        "jobTemplate": {"spec": a_job()["spec"]},
    }
    return a_manifest("CronJob", spec=spec)


def a_network_policy() -> Manifest:
    return a_manifest(
        "NetworkPolicy",
        spec={
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"from": [{"podSelector": {}}], "ports": [{"port": 4647}, {"port": "http"}]},
                {"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]},
            ],
            "egress": [],
        },
    )


def a_config_map() -> Manifest:
    return a_manifest("ConfigMap", data={"server.json": '{"server": {}}', "empty": ""})


def a_control_plane() -> list[Manifest]:
    """Make one object of each kind that is kept by manifests, in the order to apply them."""
    selector = {"matchLabels": {"app": "nomad"}}
    return [
        a_namespace(),
        a_manifest("ServiceAccount", automountServiceAccountToken=False),
        a_config_map(),
        a_manifest("ResourceQuota", spec={"hard": {"limits.memory": "20480Mi", "pods": 20}}),
        a_network_policy(),
        a_service(),
        a_stateful_set(),
        a_deployment(),
        a_manifest("PodDisruptionBudget", spec={"maxUnavailable": 1, "selector": selector}),
        a_job(),
        a_cron_job(),
    ]


VERSIONS = {
    "Namespace": "v1",
    "ServiceAccount": "v1",
    "Secret": "v1",
    "ConfigMap": "v1",
    "Service": "v1",
    "ResourceQuota": "v1",
    "StatefulSet": "apps/v1",
    "Deployment": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
}
