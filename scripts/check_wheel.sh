#!/usr/bin/env bash
# Build the distributions and install the wheel as a user would: a clean environment, no checkout in sight, the demo.
# Takes minutes and needs what pip needs: everything is installed anew. Usage: scripts/check_wheel.sh [EXTRA...]
# With names of extras, each is installed on top in an environment of its own.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
python="${PYTHON:-python3}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

"$python" -m venv "$work/build"
"$work/build/bin/pip" install --quiet build twine
"$work/build/bin/python" -m build --outdir "$work/dist" "$root" >/dev/null
"$work/build/bin/python" -m twine check --strict "$work"/dist/*
wheel="$(ls "$work"/dist/*.whl)"
size="$(stat -c %s "$wheel")"
echo "$(basename "$wheel"): $size bytes"
test "$size" -lt 5000000

install() { # install FOLDER REQUIREMENT
    "$python" -m venv "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check -c "$root/constraints.txt" "$2"
    "$1/bin/pip" check
}

cd "$work"
install "$work/plain" "$wheel"
"$work/plain/bin/visual-summaries" demo --images 8 --out demo
test -s demo/run/report.html
for extra in "$@"; do
    rm -rf "$work/extra"
    install "$work/extra" "$wheel[$extra]"
    "$work/extra/bin/visual-summaries" report demo/run --out "$extra.html"
    test -s "$extra.html"
    echo "extra $extra: installed alone"
done
