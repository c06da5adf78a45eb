"""Regional deployments for tests: only what matters is said."""

from typing import Any

from orrery.api.globaldeployment import GlobalDeploymentSpec
from orrery.planning.placement import RegionCandidate
from orrery.planning.split import split
from orrery.regional import RegionalDeployment


def a_spec(**fields: Any) -> GlobalDeploymentSpec:
    document = {"type": "WORKER", "docker": {"image": "demo:1"}, **fields}
    return GlobalDeploymentSpec.model_validate(document)


def a_regional(name: str = "shop", *, namespace: str = "team-a", **spec: Any) -> RegionalDeployment:
    regions = [RegionCandidate("fra", "eu")]
    return split(a_spec(**spec), namespace=namespace, name=name, regions=regions)["fra"]
