#!/bin/sh
# Installs EdgeFed from this folder, with no network: sh install.sh [TARGET], which is /opt/edgefed if left out.
# PYTHON names the interpreter; it must be of the version that the wheels were gathered with.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${1:-/opt/edgefed}

(cd "$here" && sha256sum --check --quiet SHA256SUMS)
"${PYTHON:-python3}" -m venv "$target"
# Nothing that the machine's own pip configuration names is asked.
PIP_CONFIG_FILE=/dev/null "$target/bin/pip" --isolated install --quiet --disable-pip-version-check --no-index \
    --find-links "$here/wheels" --constraint "$here/constraints.txt" "edgefed[$(cat "$here/extras")]"
for model in "$here"/model/*.tar; do
    [ -e "$model" ] || continue
    if [ -e "$here/trust/release.pem" ]; then
        "$target/bin/edgefed" model verify "$model" --key "$here/trust/release.pem"
    else
        "$target/bin/edgefed" model verify "$model"
    fi
done
"$target/bin/edgefed" doctor
