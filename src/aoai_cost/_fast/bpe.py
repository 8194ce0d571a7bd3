"""The kernels of `bpe.pxi` at the best level that this machine can run."""
import os
if os.environ.get("AOAI_COST_ISA") == "avx2":
    from .bpe_avx2 import Counts, Vocabulary
elif os.environ.get("AOAI_COST_ISA") == "sse2":
    from .bpe_sse2 import Counts, Vocabulary
elif os.environ.get("AOAI_COST_ISA") == "portable":
    from .bpe_portable import Counts, Vocabulary
else:
    from .bpe_avx512 import Counts, Vocabulary
