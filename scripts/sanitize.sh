#!/usr/bin/env bash
# Build the core with gcc's address and undefined-behaviour sanitizers and run its tests on it.
#
#     scripts/sanitize.sh [DIRECTORY]      the build stays there; a new one in /tmp by default
#
# It takes ten minutes. The tree is copied, so its own build is never touched. `PYTHON` names the interpreter, which has
# the tools of the project; `HISTORIES` how many random histories follow the tests.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
scratch=${1:-$(mktemp -d -t gristmill-sanitize-XXXXXX)}
python=${PYTHON:-$root/.venv/bin/python}

mkdir -p "$scratch"
cd "$root"
git ls-files -z --cached --others --exclude-standard -- \
    ext runtime consensus chain genesis tests scripts pyproject.toml setup.py README.md \
    | tar --create --null --files-from=- --ignore-failed-read | tar --extract --directory "$scratch"
cd "$scratch"

echo "building in $scratch"
GRISTMILL_SANITIZE=1 "$python" setup.py --quiet build_ext --inplace --parallel=1 > build.log 2>&1 \
    || { tail -40 build.log; exit 1; }

libraries="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
libraries+=" $(gcc -print-file-name=libstdc++.so.6)"
sanitized() {
    env LD_PRELOAD="$libraries" PYTHONMALLOC=malloc PYTHONPATH="$scratch" \
        ASAN_OPTIONS="detect_leaks=0:abort_on_error=1:allocator_may_return_null=1" \
        UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1" "$@"
}

# The build under test is this one, and its compiler did what it was asked for
sanitized "$python" - <<'CHECK'
import pathlib, subprocess, sys
from ext import store
place = pathlib.Path(store.__file__)
assert place.is_relative_to(pathlib.Path.cwd()), place
assert "native" in store.__name__, store.__name__
linked = subprocess.run(["ldd", str(place)], capture_output=True, text=True).stdout
assert "libasan" in linked and "libubsan" in linked, linked
print(f"sanitized: {sorted(one.name for one in place.parent.glob('*.so'))}")
CHECK

# Two tests start a Python in an environment of their own, without the sanitizers' libraries
sanitized "$python" -m pytest -p no:cacheprovider tests/twins tests/property/test_ext_* \
    tests/unit/test_ext_* tests/vectors \
    --deselect tests/unit/test_ext_election.py::test_seeds_of_hashing_and_cores_do_not_show \
    --deselect "tests/unit/test_ext_sources.py::test_the_door_opens_the_core_that_was_asked_for"
sanitized "$python" -m tests.fuzz.roots --histories "${HISTORIES:-2}" --blocks 20
sanitized "$python" -m tests.fuzz run \
    transaction,block,certificate,evidence,light_block,difference,state,proof,witness --count 4000
echo "the core is clean"
