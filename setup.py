"""The compiled modules; everything else about the package stands in pyproject.toml.

``AOAI_COST_CHECKED=1`` builds with bounds, overflow and None checks, into a build folder of its own,
so a checked and a plain build never mix (see `make deep`).
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

CHECKED = os.environ.get("AOAI_COST_CHECKED") == "1"
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

AVX2 = ["-mavx2", "-mbmi", "-mbmi2", "-mlzcnt", "-mpopcnt"]
LEVELS = {
    "bpe_portable": ["-DAOAI_COST_PORTABLE"],
    "bpe_sse2": ["-msse2"],
    "bpe_avx2": AVX2,
    "bpe_avx512": [*AVX2, *(f"-mavx512{part}" for part in ("f", "bw", "dq", "vl", "vbmi", "vbmi2"))],
}

extensions = [
    Extension(
        f"{PACKAGE}.{pyx.stem}",
        [pyx.as_posix()],
        depends=[path.as_posix() for pattern in ("*.pxd", "*.pxi", "*.h") for path in sorted(FOLDER.glob(pattern))],
        extra_compile_args=["-O1" if CHECKED else "-O3", "-DCYTHON_INLINE=inline __attribute__((always_inline))", *LEVELS.get(pyx.stem, [])],
    )
    for pyx in sorted(FOLDER.glob("*.pyx"))
]

setup(
    ext_modules=cythonize(
        extensions,
        build_dir="build/cython-checked" if CHECKED else "build/cython",
        compiler_directives=directives,
    ),
)
