#!/usr/bin/env bash
# Runs vhdkit and its peers in turns on the same files, and prints one table of ratios.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: tests/VhdCore.Benchmarks/peers.sh [--only ROW] [--setting memory|disk] [--rounds N] [--size SIZE] [options]

  --only ROW        one row (see --list); prints `ROW ratio=X` as well. May be given again
  --setting NAME    memory: on a tmpfs of huge pages; disk: on a real file system. Both without it
  --rounds N        rounds of each row in the memory setting, 9 by default
  --disk-rounds N   rounds of each row in the disk setting, 5 by default
  --size SIZE       virtual size of the images, half of it random data; 8G by default
  --disk DIR        folder on a real file system for the disk setting; /var/tmp by default
  --memory DIR      a folder to use instead of mounting a tmpfs
  --vhdkit FILE     a published vhdkit; it is published first without this
  --results DIR     where to keep what was measured; artifacts/peers by default
  --resume          leaves out rows that the results have already
  --table           only prints the table of what was measured
  --list            only lists the rows

A ratio is the best time of vhdkit by the best time of its peer, start-up subtracted; in brackets the lowest and the highest of the single rounds. Rows of rates
(random-*) are the other way round: the more, the better. `copier` is a bare loop of pread and pwrite on two threads over the same source. `--table` says of each
row whether the target is met, and by what it is missed: the time, the copier's time (1.3 of it), the CPU (0.6 of the peer's) or the memory (100 MiB).
Needs qemu-img, qemu-io, openssl, fio, strace and GNU time; rows whose peer is missing are left out, with a word.
TEXT
}

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
only="" setting="memory disk" rounds=9 disk_rounds=5 size=8G disk_parent=/var/tmp memory="" vhdkit="" results="$root/artifacts/peers" resume=no action=run
while [ $# -gt 0 ]; do
    case "$1" in
        --only) only="$only $2"; shift ;;
        --setting) setting="$2"; shift ;;
        --rounds) rounds="$2"; disk_rounds="$2"; shift ;;
        --disk-rounds) disk_rounds="$2"; shift ;;
        --size) size="$2"; shift ;;
        --disk) disk_parent="$2"; shift ;;
        --memory) memory="$2"; shift ;;
        --vhdkit) vhdkit="$2"; shift ;;
        --results) results="$2"; shift ;;
        --resume) resume=yes ;;
        --table) action=table ;;
        --list) action=list ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
    shift
done

# shellcheck source=peers/measure.sh
. "$here/peers/measure.sh"
# shellcheck source=peers/table.sh
. "$here/peers/table.sh"
# shellcheck source=peers/rows.sh
. "$here/peers/rows.sh"

case "$action" in
    list)
        list_rows
        exit 0
        ;;
    table)
        print_table
        exit 0
        ;;
esac

for row in $only; do
    list_rows | grep "^$row " >/dev/null || {
        echo "There is no row '$row'. The rows:" >&2
        list_rows >&2
        exit 2
    }
done

mkdir -p "$results"
scratch="$(mktemp -d)"
mounted=""
disk=""
failed=""
clean_up() {
    if [ -n "$mounted" ]; then umount "$mounted" && rmdir "$mounted"; fi
    rm -rf "$scratch" ${disk:+"$disk"}
}
trap clean_up EXIT

export MSBUILDDISABLENODEREUSE=1
bench_output="$root/tests/VhdCore.Benchmarks/bin/Release/net10.0"
echo "Building the benchmark programs..."
dotnet build "$here" -c Release -nologo -v quiet
bench="$bench_output/VhdCore.Benchmarks"
if [ -z "$vhdkit" ]; then
    echo "Publishing vhdkit..."
    dotnet publish "$root/src/VhdCli" -c Release -o "$scratch/publish" -nologo -v quiet
    vhdkit="$scratch/publish/vhdkit"
fi

find_startup
for name in $setting; do
    case "$name" in
        memory) open_memory ;;
        disk) open_disk ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
    note_setting
    run_rows "$name"
    close_setting
done
print_table
for row in $only; do
    awk -F '\t' -v row="$row" '$1 == row { printf "%s ratio=%s\n", row, $4 }' "$results/rows.tsv" | tail -n 1
done
if [ -n "$failed" ]; then
    echo "FAILED:$failed run again with --resume." >&2
    exit 1
fi
