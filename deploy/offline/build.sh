#!/bin/sh
# Gathers everything that an installation without a network needs, for machines like this one, into build/offline:
#   make offline [EXTRAS=runtime,serve] [MODEL=cells.tar] [TRUST=FOLDER]
# MODEL is what `edgefed model export` wrote. TRUST holds the coordinator's ca/cert.pem as ca.pem and its
# release/public.pem as release.pem; without it trust/ stays empty, for somebody to fill in.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$root/build/offline
extras=${EXTRAS:-runtime,serve}

rm -rf "$out"
mkdir -p "$out/wheels" "$out/trust" "$out/model"
"${PYTHON:-$root/.venv/bin/python}" -m pip wheel --quiet --disable-pip-version-check \
    --constraint "$root/constraints.txt" --wheel-dir "$out/wheels" "$root[$extras]"
cp "$root/constraints.txt" "$root/deploy/offline/install.sh" "$root/deploy/offline/trust.md" "$out"
mv "$out/trust.md" "$out/trust/README.md"
printf '%s\n' "$extras" > "$out/extras"
if [ -n "${TRUST:-}" ]; then cp "$TRUST/ca.pem" "$TRUST/release.pem" "$out/trust"; fi
if [ -n "${MODEL:-}" ]; then cp "$MODEL" "$out/model"; fi
cd "$out"
find . -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum > SHA256SUMS
printf '%s: %s files, %s\n' "$out" "$(wc -l < SHA256SUMS)" "$(du -sh . | cut -f1)"
