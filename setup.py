"""Build of the compiled core in `ext/native`; metadata and tool settings live in pyproject.toml."""

from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

setup(
    ext_modules=cythonize(
        [
            Extension(
                path.removesuffix(".pyx").replace("/", "."),
                [path],
                extra_compile_args=["-O3"],
            )
            for path in sorted(glob("ext/native/*.pyx"))
        ],
        compiler_directives={"language_level": 3},
    ),
)
