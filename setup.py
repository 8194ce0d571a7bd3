"""The compiled modules; everything else about the package stands in pyproject.toml.

``AOAI_COST_CHECKED=1`` builds with bounds, overflow and None checks, ``AOAI_COST_SANITIZED=1`` with gcc's address and
undefined-behaviour sanitizers, ``AOAI_COST_FUZZED=1`` with clang's address sanitizer and the marks that guide a fuzzer.
Each has a build folder of its own, so these builds never mix (see `make deep` and `make fuzz`).
"""

import os
import platform
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

# Some Pythons are built with -fwrapv and hand it on: signed overflow would then be defined, and go unseen.
_SEEN = ["-O1", "-g", "-fno-omit-frame-pointer", "-fno-wrapv"]
FLAGS = {
    "PLAIN": (["-O3"], []),
    "CHECKED": (["-O1"], []),
    "SANITIZED": (
        [*_SEEN, "-fsanitize=address,undefined", "-fno-sanitize=object-size", "-fno-sanitize-recover=undefined"],
        ["-fsanitize=address,undefined"],
    ),
    # Not linked with the sanitizer: what is preloaded brings it, and the fuzzer (see the Makefile).
    "FUZZED": ([*_SEEN, "-fsanitize=address,fuzzer-no-link"], []),
}
BUILD = next((build for build in FLAGS if os.environ.get(f"AOAI_COST_{build}") == "1"), "PLAIN")
CHECKED = BUILD == "CHECKED"
COMPILE, LINK = FLAGS[BUILD]
PACKAGE = "aoai_cost._fast"
FOLDER = Path("src/aoai_cost/_fast")

directives = {
    "language_level": 3,
    "binding": True,
    "embedsignature": False,
    "auto_pickle": False,
    "boundscheck": CHECKED,
    "wraparound": False,
    "initializedcheck": CHECKED,
    "nonecheck": CHECKED,
    "overflowcheck": CHECKED,
    "cdivision": not CHECKED,
}

# The tokenizer is compiled once for each level of vector code; `_fast/bpe.py` chooses one when it is imported.
AVX2 = ["-mavx2", "-mbmi", "-mbmi2", "-mlzcnt", "-mpopcnt"]
X86_LEVELS = {
    "bpe_sse2": ["-msse2"],
    "bpe_avx2": AVX2,
    "bpe_avx512": [*AVX2, *(f"-mavx512{part}" for part in ("f", "bw", "dq", "vl", "vbmi", "vbmi2"))],
}
LEVELS = {"bpe_portable": ["-DAOAI_COST_PORTABLE"], **X86_LEVELS}
# What Cython calls inline is to be inlined: the windows are compiled anew for what is constant where they are called.
INLINE = "-DCYTHON_INLINE=inline __attribute__((always_inline))"

extensions = [
    Extension(
        f"{PACKAGE}.{pyx.stem}",
        [pyx.as_posix()],
        depends=[path.as_posix() for pattern in ("*.pxd", "*.pxi", "*.h") for path in sorted(FOLDER.glob(pattern))],
        extra_compile_args=[*COMPILE, INLINE, *LEVELS.get(pyx.stem, [])],
        extra_link_args=LINK,
    )
    for pyx in sorted(FOLDER.glob("*.pyx"))
    if pyx.stem not in X86_LEVELS or platform.machine() in ("x86_64", "AMD64")
]

setup(
    ext_modules=cythonize(
        extensions,
        build_dir="build/cython" if BUILD == "PLAIN" else f"build/cython-{BUILD.lower()}",
        compiler_directives=directives,
    ),
    options={"build_ext": {"parallel": os.cpu_count()}},
)
