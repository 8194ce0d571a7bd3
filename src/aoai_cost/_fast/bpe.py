"""The kernels of `bpe.pxi` at the best level of vector code that this machine runs, or that `AOAI_COST_ISA` names."""

import os
from importlib import import_module

from ..errors import UnknownNameError
from .levels import runnable_levels

__all__ = ["LEVEL", "Counts", "Vocabulary"]

LEVEL = os.environ.get("AOAI_COST_ISA") or runnable_levels()[0]
if LEVEL not in runnable_levels():
    raise UnknownNameError("instruction set in AOAI_COST_ISA for this machine", LEVEL, runnable_levels())

_kernels = import_module(f"{__package__}.bpe_{LEVEL}")
Counts = _kernels.Counts
Vocabulary = _kernels.Vocabulary
