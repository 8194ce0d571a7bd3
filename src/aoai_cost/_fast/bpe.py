"""The kernels of `bpe.pxi` at the best level that this machine can run."""
from .bpe_avx2 import Counts, Vocabulary
