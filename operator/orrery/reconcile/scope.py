"""What one pass over one GlobalDeployment knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orrery.api.base import Metadata
from orrery.api.globaldeployment import GlobalDeployment, GlobalDeploymentStatus
from orrery.engine.queue import Priority
from orrery.errors import InvalidSpec, NotYet, OrreryError
from orrery.planning.placement import Choice
from orrery.planning.rollup import RegionalState
from orrery.ports import Key, Secret
from orrery.reconcile.assignment import Assignment
from orrery.regional import RegionalDeployment


@dataclass(slots=True)
class Scope:
    """One pass over one GlobalDeployment; comments say which phase sets a field."""

    key: Key
    metadata: Metadata
    body: Mapping[str, object]
    before: GlobalDeploymentStatus
    states: dict[str, RegionalState]
    priority: Priority
    deployment: GlobalDeployment | None = None  # accept
    choice: Choice | None = None  # choose_regions
    fleet_revision: int = 0  # choose_regions
    regionals: Mapping[str, RegionalDeployment] = field(default_factory=dict)  # derive
    secrets: Mapping[str, Secret] = field(default_factory=dict)  # read_secrets
    assignments: dict[str, Assignment | InvalidSpec | NotYet] = field(default_factory=dict)
    # render
    compared: bool = False  # compare: whether *states* tell of the spec there is now
    wake_after: float | None = None  # bury: seconds
    released: bool = False  # release
    error: OrreryError | None = None  # whichever phase ended the pass
