#!/usr/bin/env bash
# Install the stock JavaScript clients of tests/e2e/js; without Node.js say so and go on.
set -eu
cd "$(dirname "$0")/../tests/e2e/js"
if ! command -v npm >/dev/null; then
    echo "Node.js is absent: the JavaScript clients are skipped (apt-get install -y nodejs npm)" >&2
    exit 0
fi
npm ci --no-audit --no-fund --silent
