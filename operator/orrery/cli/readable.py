"""Write manifests as YAML that people read: nothing is left out, nothing is folded."""

import yaml

from orrery.ports import Document


def readable(document: Document) -> str:
    """Write one document."""
    return yaml.dump(document, Dumper=_Readable, sort_keys=False, width=100)


class _Readable(yaml.SafeDumper):
    """Writes everything out: no references, and texts of several lines as they are."""

    def ignore_aliases(self, data: object) -> bool:
        """Write what is the same twice all the same."""
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Readable.add_representer(str, _text)
