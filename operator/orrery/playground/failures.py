"""What can go wrong in a playground, as sentences that name the remedy."""

from orrery.errors import OrreryError


class PlaygroundError(OrreryError):
    """The playground cannot do what was asked; the message says what to do."""


class PrerequisiteMissing(PlaygroundError):
    """A program that the playground needs is not there, or too old."""

    def __init__(self, message: str) -> None:
        super().__init__("PrerequisiteMissing", message)


class NotReady(PlaygroundError):
    """Something that was started did not become ready; the message ends with its log."""

    def __init__(self, message: str) -> None:
        super().__init__("NotReady", message)


class WrongState(PlaygroundError):
    """The directory holds no playground, or one that does not allow this."""

    def __init__(self, message: str) -> None:
        super().__init__("WrongState", message)
