"""The kernels of `bpe.pxi` with AVX2."""

include "bpe.pxi"
