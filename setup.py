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

extensions = [
    Extension(f"{PACKAGE}.{pyx.stem}", [pyx.as_posix()], extra_compile_args=["-O1" if CHECKED else "-O3"])
    for pyx in sorted(FOLDER.glob("*.pyx"))
]

setup(
    ext_modules=cythonize(
        extensions,
        build_dir="build/cython-checked" if CHECKED else "build/cython",
        compiler_directives=directives,
    ),
)
