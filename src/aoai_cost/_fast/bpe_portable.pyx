"""The kernels of `bpe.pxi` without vector code."""

include "bpe.pxi"
