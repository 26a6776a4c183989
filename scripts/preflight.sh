#!/usr/bin/env bash
# Say in one line what this machine lacks, before pip runs into it.
set -eu
PYTHON=${PYTHON:-python3}
apt=()
command -v gcc >/dev/null || apt+=(gcc)
command -v g++ >/dev/null || apt+=(g++)
if ! command -v "$PYTHON" >/dev/null; then
    apt+=(python3 python3-venv python3-dev)
else
    "$PYTHON" - <<'PY' || { echo "gristmill needs Python 3.11 or later; set PYTHON=/path/to/python3.11" >&2; exit 78; }
import sys
sys.exit(sys.version_info < (3, 11))
PY
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || apt+=(python3-venv)
    include=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    [ -e "$include/Python.h" ] || apt+=(python3-dev)
fi
probe() { echo "#include <$1>" | gcc -E -x c - >/dev/null 2>&1; }
if command -v gcc >/dev/null; then
    probe gmp.h || apt+=(libgmp-dev)
fi
if [ ${#apt[@]} -gt 0 ]; then
    echo "missing packages; run: sudo apt-get install -y ${apt[*]}" >&2
    exit 78
fi
