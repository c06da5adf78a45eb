"""The `orrery` command. A verb is imported when it is used: help and completion must be quick."""

from collections.abc import Iterator, MutableMapping, Sequence
from importlib import import_module
from keyword import iskeyword
from typing import Any, Final

import click

__all__ = ["main"]

VERBS: Final = {
    "status": "Show the planet: continents, regions and deployments.",
    "describe": "Show one object as a tree, with what happened to it.",
    "explain": "Show what one region runs, and what set each field.",
    "plan": "Show what applying manifests would change everywhere.",
    "render": "Show the control planes of Managed regions as manifests.",
    "region": "Let machines join a region; forget one, allow a mass stop.",
    "mesh": "Make the Secrets of a global mesh.",
    "class": "Roll a RegionClass back, or approve a wave of its rollout.",
    "continent": "Prepare the Kubernetes cluster of a continent.",
    "snapshot": "Take a snapshot of a region's Nomad into a folder.",
    "recover": "Write deployments back from what regions run.",
    "demo": "Take a tour on a planet on this machine.",
    "playground": "Run a hub, an operator and regions on this machine.",
    "run": "Run the operator.",
    "probe": "Time TCP connects; regions run it on their machines.",
    "sim": "Simulate regions, by the thousand if need be.",
}
"""What the list of verbs says of each; `orrery VERB --help` says the rest."""

HIDDEN: Final = ("generate",)

_KUBECTL_PLUGIN: Final = "kubectl-orrery"


class Verbs(MutableMapping[str, click.Command]):
    """The verbs by name, each imported from the module of that name when it is first asked for."""

    def __init__(self, names: Sequence[str]) -> None:
        self._commands: dict[str, click.Command | None] = dict.fromkeys(names)

    def __getitem__(self, name: str) -> click.Command:
        command = self._commands[name]
        if command is None:
            word = f"{name}_" if iskeyword(name) else name
            module = import_module(f"{__name__}.{word}")
            command = self._commands[name] = getattr(module, word)
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)


class Orrery(click.Group):
    """The group of all verbs; prints their list without importing them."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Call ourselves ``kubectl orrery`` where that is what the user typed."""
        if info_name == _KUBECTL_PLUGIN:
            info_name = "kubectl orrery"
        return super().make_context(info_name, args, parent, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the verbs in the order in which they are useful, not by name."""
        del ctx
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=Orrery,
    commands=Verbs([*VERBS, *HIDDEN]),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="orrery")
def main() -> None:
    """Run applications in many regions as if they were one place.

    Also installed as a plugin of kubectl: `kubectl orrery status` is `orrery status`.
    """
