"""Give the hub what a Managed region's Nomad is used with: a token of Orrery's own, certificates.

From here on all regions are alike. The management token is used for tokens and policies here, and
for new namespaces by whoever has the hub's Secret; all else is done with the run-time token.
"""

from collections.abc import Awaitable
from dataclasses import replace
from typing import Final, TypeVar

from orrery import names
from orrery.api.conditions import Reason
from orrery.api.region import NOMAD_HTTP_PORT
from orrery.config import Config
from orrery.errors import NotYet, OrreryError, OutcomeUnknown, Refused, Unreachable
from orrery.planning.nomadrights import as_json, run_time_rules
from orrery.ports import AclToken, Credentials, Hub, NomadFactory, ObjectRef, Pki, Secret
from orrery.ports.values import decoded
from orrery.reconcile.controlplanescope import WAIT, ControlPlaneScope, Holdings
from orrery.reconcile.credentials import MANAGEMENT, decode
from orrery.reconcile.regiontokens import TokenPlace, keep_token, revoke_strays
from orrery.render.region.blueprint import SecretName

T = TypeVar("T")

RETRY: Final = 30.0


class HandOver:
    """Makes the run-time token of a region, and the hub's Secret that holds it."""

    def __init__(self, *, hub: Hub, nomad: NomadFactory, pki: Pki, config: Config) -> None:
        self._hub = hub
        self._nomad = nomad
        self._pki = pki
        self._config = config

    async def grant_token(self, scope: ControlPlaneScope) -> None:
        """Have Nomad know a token that may do what Orrery does there, and nothing else.

        One that was handed over and is not known any more was revoked: another takes its place.
        What goes wrong is told in the end: a region that has a token goes on with it. Raises
        `NotYet` where there is none yet.
        """
        used = _used((await self._held(scope)).copy)
        place = self._place(scope)
        rotation = scope.blueprint.region.metadata.annotations.get(names.ANNOTATION_ROTATE_TOKEN)
        wanted = await place.choose(rotation or "")
        rules = as_json(run_time_rules(self._config.install, joins=True))
        admin = self._nomad.administer(await self.management(scope))
        try:
            if wanted.secret == used and await _told(admin.read_token(wanted.accessor)) is None:
                wanted = await place.renew()
            await _told(keep_token(admin, wanted, rules))
        except _Untold as error:
            if not used:
                raise error.problem from error
            scope.token_problem = error.lasting
            return
        finally:
            await admin.close()
        scope.token = wanted

    async def hand_over(self, scope: ControlPlaneScope) -> None:
        """Copy Orrery's own credentials into the hub.

        Tokens of before are revoked by a pass that finds nothing to copy: nobody uses them then.
        """
        held = await self._held(scope)
        copy = held.copy
        token = scope.token.secret if scope.token else _used(copy)
        wanted = self._secret(scope, token, held.management)
        endpoint = wanted.annotations[names.ANNOTATION_ENDPOINT]
        if copy is None or (copy.data, copy.annotations.get(names.ANNOTATION_ENDPOINT)) != (
            wanted.data,
            endpoint,
        ):
            try:
                await self._hub.write_secret(wanted)
            except (Unreachable, Refused) as error:
                raise hub_failed(error) from error
            scope.holdings, scope.handed_over = replace(held, copy=wanted), True
        elif scope.token:
            await self._revoke_strays(scope, scope.token)
        scope.told = scope.told.model_copy(update={"address": scope.blueprint.address})

    async def management(self, scope: ControlPlaneScope) -> Credentials:
        """Return the credentials for what takes a management token.

        Where its Secret is gone, the hub's copy of it does: the loss is told, and mended by hand.
        """
        token = (await self._held(scope)).management
        return decode(self._secret(scope, token, token))

    async def run_time(self, scope: ControlPlaneScope) -> Credentials:
        """Return the credentials for all else, as the hub holds them; before, the management's."""
        held = await self._held(scope)
        token = _used(held.copy) or held.management
        return decode(self._secret(scope, token, held.management))

    async def _held(self, scope: ControlPlaneScope) -> Holdings:
        """Read once in a pass what the hub and the region hold."""
        if scope.holdings is None:
            name = scope.blueprint.region.credentials_secret
            copy = await read_secret(self._hub, self._config.namespace, name)
            scope.holdings = Holdings(copy, await self._management(scope, copy))
        return scope.holdings

    async def _revoke_strays(self, scope: ControlPlaneScope, token: AclToken) -> None:
        admin = self._nomad.administer(await self.management(scope))
        try:
            await _told(revoke_strays(admin, token))
        except _Untold as error:
            scope.token_problem = error.lasting
        finally:
            await admin.close()

    def _place(self, scope: ControlPlaneScope) -> TokenPlace:
        name = f"{self._config.install}-run-time"
        return TokenPlace(scope.blueprint, scope.cluster, self._pki, SecretName.RUN_TIME, name)

    async def _management(self, scope: ControlPlaneScope, copy: Secret | None) -> str:
        blueprint = scope.blueprint
        name = blueprint.object_name(SecretName.BOOTSTRAP)
        body = await scope.cluster.read(ObjectRef("v1", "Secret", blueprint.namespace, name))
        if body is not None:
            return decoded(body)["token"].decode("ascii", "replace")
        copied = _management_in(copy)
        if not copied:
            if scope.secrets is not None and scope.secrets.lost is not None:
                raise scope.secrets.lost
            message = f"Secret {name} in namespace {blueprint.namespace} is gone"
            raise NotYet(Reason.PROVISIONING, message, retry_after=WAIT)
        return copied

    def _secret(self, scope: ControlPlaneScope, token: str, management: str) -> Secret:
        assert scope.secrets is not None, "keep_secrets comes first"
        blueprint, operator = scope.blueprint, scope.secrets.operator
        return Secret(
            namespace=self._config.namespace,
            name=blueprint.region.credentials_secret,
            type="Opaque",
            annotations={
                names.ANNOTATION_ENDPOINT: f"https://{blueprint.address}:{NOMAD_HTTP_PORT}"
            },
            data={
                "token": token.encode(),
                MANAGEMENT: management.encode(),
                "ca.crt": operator.ca.encode(),
                "tls.crt": operator.certificate.encode(),
                "tls.key": operator.key.encode(),
            },
        )


class _Untold(Exception):
    """A call about the ACLs of a region failed; *problem* is what people are told."""

    def __init__(self, problem: NotYet, cause: OrreryError) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self._cause = cause

    @property
    def lasting(self) -> NotYet | None:
        """What is told of a region that goes on: silence passes, and is told by the region itself.

        Servers that are updated have no leader for a moment.
        """
        return None if isinstance(self._cause, Unreachable | OutcomeUnknown) else self.problem


async def _told(call: Awaitable[T]) -> T:
    try:
        return await call
    except OrreryError as error:
        message = f"Orrery's own token cannot be looked after: {error.message}"
        problem = NotYet(Reason.MANAGEMENT_TOKEN_UNUSABLE, message, retry_after=RETRY)
        raise _Untold(problem, error) from error


def _used(copy: Secret | None) -> str:
    """Return the run-time token that the hub holds; before there was one, there is none."""
    if copy is None or not copy.data.get(MANAGEMENT):
        return ""
    return copy.data.get("token", b"").decode("ascii", "replace")


def _management_in(copy: Secret | None) -> str:
    """Return the management token that the hub holds; once it was the only one."""
    if copy is None:
        return ""
    return (copy.data.get(MANAGEMENT) or copy.data.get("token", b"")).decode("ascii", "replace")


async def read_secret(hub: Hub, namespace: str, name: str) -> Secret | None:
    """Read a Secret of the hub, whose failures must not be taken for the continent's."""
    try:
        return await hub.read_secret(namespace, name)
    except (Unreachable, Refused) as error:
        raise hub_failed(error) from error


def hub_failed(error: OrreryError) -> NotYet:
    """Say that the hub does not do what this continent's region needs."""
    return NotYet(Reason.HUB_REFUSED, error.message, retry_after=WAIT)
