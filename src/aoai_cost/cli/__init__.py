"""The commands. Results go to stdout, everything else to stderr.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but the total is a lower bound, since something has no price, no
tokens, or could not be read, 4 over budget.
"""

from __future__ import annotations

import io
import sys

import click

from ..version import __version__
from .count import count
from .deployments import deployments
from .estimate import estimate
from .forecast import forecast
from .jobs import jobs
from .models import models
from .output import EXIT_FAILED
from .prices import prices
from .ptu import ptu
from .reconcile import reconcile
from .report import report
from .tokens import tokens
from .whatif import whatif

__all__ = ["main"]


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but the total is a lower bound, 4 over budget.",
)
@click.version_option(__version__, prog_name="aoai-cost")
def main() -> None:
    """Know the Azure OpenAI bill before the request is sent, and explain it after."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            sys.exit(EXIT_FAILED)  # closed by the caller: nothing can be said, and nothing is pretended
        # A name in a log, or a file's, may hold what the terminal's encoding does not; it is escaped, not a crash.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


for _command in (count, tokens, estimate, jobs, report, forecast, whatif, reconcile, deployments, prices, ptu, models):
    main.add_command(_command)
