"""`xasnn-stream bench`: speed beside a reference."""

import argparse
import json
import os
import subprocess
import sys

_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
_TIMEOUT_S = 900.0


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "bench",
        help="speed beside a reference",
        description="Measure speed beside a reference in the same run, one thread each, "
        "by turns: of the physics beside larch, of the ensemble in one batch beside its "
        "members one by one.",
    )
    parser.add_argument("what", choices=("physics", "engine"))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--json", action="store_true", help="a JSON line per case")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure in a process of its own, since threads are counted when torch loads."""
    import torch

    from xasnn_stream.benchmarks import larch
    from xasnn_stream.errors import UsageError

    if arguments.what == "physics":
        larch.load()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch finds no CUDA device here")
    module = f"xasnn_stream.benchmarks.{arguments.what}"
    command = [sys.executable, "-m", module]
    with subprocess.Popen(  # noqa: S603 - our own module
        [*command, arguments.device],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | _ONE_THREAD,
    ) as process:
        for text in process.stdout or ():
            print(text.strip() if arguments.json else _line(text), flush=True)
        return process.wait(_TIMEOUT_S)


def _line(text: str) -> str:
    found = json.loads(text)
    grid = f", {found['grid']} grid" if "grid" in found else ""
    head = f"{found['what']}{grid}, batch {found['batch']}"
    if "ratio" not in found:
        times = ", ".join(
            f"{us} us at {count}"
            for us, count in zip(
                found["us_per_spectrum"], found["spectra"], strict=True
            )
        )
        return f"{head}: {times}; {found['peak_memory_mib']} MiB"
    ours, reference = found["ours"], found["reference"]
    return (
        f"{head}: {ours['spectra_per_s']:.0f} spectra/s, {reference['name']} "
        f"{reference['spectra_per_s']:.0f}, ratio {found['ratio']:.3g}"
    )
