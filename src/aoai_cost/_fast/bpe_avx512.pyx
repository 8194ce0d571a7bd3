"""The kernels of `bpe.pxi` with AVX-512."""

include "bpe.pxi"
