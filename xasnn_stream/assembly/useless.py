"""A sweep of which nothing can be made, and why."""

from dataclasses import replace

from xasnn_stream.assembly.axes import UnusableError
from xasnn_stream.assembly.decoders import NotReady, Undecodable
from xasnn_stream.assembly.run import OpenRun
from xasnn_stream.assembly.sweeps import Place
from xasnn_stream.spectrum import Reason, Spectrum

USELESS = (NotReady, Undecodable, UnusableError)
"""Why rows make no spectrum, now or ever."""


def unusable(run: OpenRun, error: Exception, place: Place) -> Spectrum:
    """Return the sweep of which nothing can be made, with the reason.

    What a file lacks may be there later, so then it is incomplete.
    """
    if isinstance(error, UnusableError):
        return run.spectrum(place, problem=error.reason)
    uid = run.header.uid
    if isinstance(error, Undecodable):
        return run.spectrum(
            place, problem=Reason("unreadable_file", f"run {uid}: {error}")
        )
    missing = replace(place, complete=False)
    return run.spectrum(missing, problem=Reason("no_file", f"run {uid}: {error}"))
