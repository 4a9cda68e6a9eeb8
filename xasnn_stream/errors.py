"""Every error of the package: one family, each also a builtin a caller would expect.

A message says what happened, in which run or file, and what to do about it.
"""


class XasnnError(Exception):
    """Base of every error raised on purpose by this package."""


class ProfileError(XasnnError, ValueError):
    """A profile is invalid; the message lists every mistake at once."""


class ModelError(XasnnError, ValueError):
    """A model folder is missing, incomplete, or does not match its hashes."""


class LibraryError(XasnnError, ValueError):
    """A training library cannot be read or lacks what a recipe asks for."""


class DocumentError(XasnnError, ValueError):
    """A document or frame cannot be decoded or does not belong to a run."""


class SourceError(XasnnError, ConnectionError):
    """A source of documents cannot be opened or read."""


class InvalidSourceError(SourceError):
    """What was named cannot be a source: a wrong URL, a file that is not there."""


class SinkError(XasnnError, OSError):
    """A result could not be delivered."""


class RefusedError(SinkError):
    """A result was refused for what it is; the same will be refused again."""


class FileError(XasnnError, ValueError):
    """A measured file cannot be read, or its columns cannot be told."""


class FoilError(XasnnError, ValueError):
    """A reference foil cannot be read or is not a foil of the profile's edge."""


class FeffError(XasnnError, RuntimeError):
    """A FEFF calculation failed or was not done in its time."""


class UsageError(XasnnError, ValueError):
    """A command was asked for something it cannot do; the message says what it can."""


_WRONGLY_ASKED = (
    ProfileError,
    ModelError,
    FileError,
    FoilError,
    LibraryError,
    InvalidSourceError,
    UsageError,
)

FAILED = 1
WRONG_USAGE = 2


def exit_code(error: XasnnError) -> int:
    """Return how a command ends with it: 2 for what was asked, 1 for what failed."""
    return WRONG_USAGE if isinstance(error, _WRONGLY_ASKED) else FAILED
