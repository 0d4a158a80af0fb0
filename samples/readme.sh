#!/usr/bin/env bash
# Runs the README's examples of the command line as they stand there, on copies of the sample chain.
#
#   samples/readme.sh FOLDER      # the folder that holds the published vhdkit
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PATH="$(cd "$1" && pwd):$PATH"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cp "$root"/samples/images/xen-chain/*.vhd "$folder"
cd "$folder"

count=0
while IFS= read -r line; do
    example="${line%%#*}"
    echo "+ $example"
    bash -euo pipefail -c "$example" </dev/null >output 2>&1 || {
        cat output
        echo "The README's example failed: $example" >&2
        exit 1
    }
    count=$((count + 1))
done < <(sed -n 's/^    \(vhdkit .*\)/\1/p' "$root/README.md")

[ "$count" -gt 0 ]
echo "$count examples ran."
