#!/usr/bin/env bash
# Runs every sample program and compares what it prints with its expected.txt.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
configuration="${1:-Release}"
failed=0

for program in samples/*/expected.txt; do
    name="$(basename "$(dirname "$program")")"
    arguments=()
    if [ "$name" = OpenAndRead ]; then
        arguments=(samples/images/xen-chain/leaf.vhd)
    fi
    if dotnet run --no-build -c "$configuration" --project "samples/$name" -- ${arguments[@]+"${arguments[@]}"} </dev/null | diff "$program" -; then
        echo "$name: as expected"
    else
        echo "$name: not as expected" >&2
        failed=1
    fi
done

exit "$failed"
