"""Compare every stub of the compiled core with the module that was built, by mypy's stubtest."""

import contextlib
import io
import sys
from pathlib import Path

from mypy import stubtest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
NATIVE = ROOT / "ext" / "native"

ALLOWED = r"""
ext\.native\.\w+\.__(test|pyx_capi)__
ext\.native\.[\w.]+\.__(reduce|setstate)(_cython)?__
"""
"""What Cython adds to every module and class and nobody calls by name."""


def main() -> int:
    """Check all modules at once; the status is stubtest's, or 1 when one was not built."""
    stubs = sorted(path.stem for path in NATIVE.glob("*.pyi"))
    missing = [name for name in stubs if not list(NATIVE.glob(f"{name}.*.so"))]
    if missing:
        print(f"not built: {', '.join(missing)}; run make setup", file=sys.stderr)
        return 1
    allowlist = ROOT / ".make" / "stubtest-allowed.txt"
    allowlist.parent.mkdir(exist_ok=True)
    allowlist.write_text(ALLOWED)
    arguments = [f"ext.native.{name}" for name in stubs]
    arguments += ["--mypy-config-file", str(ROOT / "pyproject.toml")]
    arguments += ["--allowlist", str(allowlist), "--ignore-unused-allowlist"]
    arguments += ["--ignore-disjoint-bases", "--concise"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = stubtest.test_stubs(stubtest.parse_options(arguments))
    if status:
        print(said.getvalue(), end="")
    else:
        print(f"the stubs of {len(stubs)} compiled modules are true")
    return status


if __name__ == "__main__":
    sys.exit(main())
