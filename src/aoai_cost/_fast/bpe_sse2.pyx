"""The kernels of `bpe.pxi` with SSE2."""

include "bpe.pxi"
