# Sourced by peers.sh: the rows, and the files they work on.

list_rows() {
    cat <<'TEXT'
raw-to-vhdx             conversion; memory and disk
raw-to-vhd              conversion; memory and disk
vhdx-to-raw             conversion; memory and disk
vhdx-to-vhd             conversion; memory and disk
vhd-to-raw              conversion; memory and disk
vhd-to-vhdx             conversion; memory and disk
raw-to-vhdx-flushed     as above, durable when it ends; disk
vhdx-to-raw-flushed     as above, durable when it ends; disk
empty-to-vhdx           an empty VHDX of 1 TiB to VHDX; memory
empty-to-raw            an empty VHDX of 1 TiB to raw; memory
compare                 raw with an equal VHDX; memory
hash                    SHA-256 of the raw file; memory
hash-tree               tree hash of the half-full VHDX beside SHA-256 of the raw file; memory
hash-tree-full          tree hash of a full VHDX beside SHA-256 of its raw file; memory
random-read-vhdx-1      hot 4 KiB reads of a dynamic VHDX, one at a time, beside the raw file; memory
random-read-vhdx-32     the same, 32 at a time; memory
random-read-chain-1     of a chain of three; memory
random-read-chain-32    the same, 32 at a time; memory
random-reads-direct     4 KiB reads of a dynamic VHDX past the page cache, 32 at a time, beside fio's io_uring on the raw file; disk
open-full               opening a VHDX of 1 TiB, all of its blocks of 1 MiB there, for writing, in the process; its target is 20 ms; memory
allocating-writes       4000 writes to fresh blocks of a VHDX and a flush beside qemu-io; disk
allocating-writes-vhd   the same for VHD; disk
TEXT
}

open_memory() {
    where=memory turns="$rounds"
    if [ -n "$memory" ]; then
        work="$memory"
        echo "Memory setting: the folder $work, as asked."
    elif [ "$(id -u)" -ne 0 ]; then
        work="$(mktemp -d /dev/shm/vhdkit-peers.XXXXXX)"
        disk="$work" # deleted at the end
        echo "Memory setting: not root, so this is /dev/shm as it is and no tmpfs of huge pages. Page allocation drowns differences there."
    else
        mounted="$(mktemp -d)"
        mount -t tmpfs -o huge=always,size=85% vhdkit-peers "$mounted"
        work="$mounted"
        echo "Memory setting: a tmpfs of huge pages."
    fi
}

open_disk() {
    where=disk turns="$disk_rounds"
    disk="$(mktemp -d "$disk_parent/vhdkit-peers.XXXXXX")"
    work="$disk"
    local kind
    kind="$(stat -f -c %T "$disk")"
    if [ "$kind" = tmpfs ] || [ "$kind" = ramfs ]; then
        echo "$disk_parent lies in memory ($kind): name a folder on a disk with --disk." >&2
        exit 1
    fi
    echo "Disk setting: $kind."
}

close_setting() {
    if [ -n "$mounted" ]; then
        umount "$mounted"
        rmdir "$mounted"
        mounted=""
    fi
    rm -rf ${disk:+"$disk"}
    disk=""
}

wanted() { # row
    if [ -n "$only" ]; then
        case " $only " in *" $1 "*) ;; *) return 1 ;; esac
    fi
    if [ "$resume" = yes ] && [ -f "$results/rows.tsv" ] && awk -F '\t' -v row="$1" -v where="$where" '$1 == row && $2 == where { found = 1 } END { exit !found }' "$results/rows.tsv"; then
        return 1
    fi
}

has() { # program, row
    command -v "$1" >/dev/null || {
        echo "  $2: left out, there is no $1 here."
        return 1
    }
}

# The source files; only one besides the raw one is kept at a time, because memory is short.
need() { # raw|vhdx|vhd
    local kind
    if [ ! -f "$work/source.raw" ]; then "$bench" image "$work/source.raw" "$size" half; fi
    for kind in vhdx vhd; do
        if [ "$kind" != "$1" ]; then rm -f "$work/source.$kind"; fi
    done
    if [ ! -f "$work/source.$1" ]; then
        warm "$data_mib"
        "$vhdkit" convert -O "$1" "$work/source.raw" "$work/source.$1"
    fi
}

qemu_name() {
    case "$1" in vhd) echo vpc ;; *) echo "$1" ;; esac
}

# A row that fails must not take the others with it.
attempt() { # command...
    local code=0
    set +e
    (
        set -e
        "$@"
    )
    code=$?
    set -e
    if [ "$code" -ne 0 ]; then
        failed="$failed $*;"
        rm -f "$work/output" "$work/warm"
    fi
}

run_rows() { # setting
    data_mib=$(($(numfmt --from=iec "$size") / 1048576 / 2))
    OUTPUT="$work/output"
    LIMIT=()
    local row
    for row in raw-to-vhdx raw-to-vhd vhdx-to-raw vhdx-to-vhd vhd-to-raw vhd-to-vhdx; do
        if wanted $row; then attempt conversion $row; fi
    done
    if [ "$1" = disk ]; then
        for row in raw-to-vhdx-flushed vhdx-to-raw-flushed; do
            if wanted $row; then attempt conversion $row; fi
        done
        rm -f "$work"/source.*
        if wanted random-reads-direct; then attempt random_reads_direct; fi
        if wanted allocating-writes; then attempt allocating_writes allocating-writes vhdx 0.05; fi
        if wanted allocating-writes-vhd; then attempt allocating_writes allocating-writes-vhd vhd 0.2; fi
        return
    fi
    if wanted compare; then attempt compare; fi
    if wanted hash; then attempt hash; fi
    if wanted hash-tree; then attempt hash_tree hash-tree vhdx 0.25; fi
    rm -f "$work"/source.*
    if wanted hash-tree-full; then attempt hash_full; fi
    for row in empty-to-vhdx empty-to-raw; do
        if wanted $row; then attempt empty $row; fi
    done
    if wanted open-full; then attempt open_full; fi
    if wanted random-read-vhdx-1 || wanted random-read-vhdx-32 || wanted random-read-chain-1 || wanted random-read-chain-32; then attempt random_reads; fi
}

# vhdkit makes every conversion durable; of its peer only the -flushed rows ask for that.
conversion() { # row
    has qemu-img "$1" || return 0
    local from="${1%%-to-*}" to="${1##*-to-}"
    local cache=unsafe
    if [ "$to" != "${to%-flushed}" ]; then
        to="${to%-flushed}"
        cache=writeback
    fi
    need "$from"
    local source="$work/source.$from"
    OURS=("$vhdkit" convert -t "$cache" -f "$from" -O "$to" "$source" "$OUTPUT")
    PEER=(qemu-img convert -t unsafe -f "$(qemu_name "$from")" -O "$(qemu_name "$to")" "$source" "$OUTPUT")
    LIMIT=("$bench" copier "$source" "$OUTPUT")
    if [ "$cache" = writeback ]; then
        PEER=(sh -c '"$@" && sync "$0"' "$OUTPUT" "${PEER[@]}")
        LIMIT=()
    fi
    local target=0.50
    if [ "$where" = disk ]; then target="-"; fi
    compare_runs "$1" "$target" $((data_mib * 3 / 2)) qemu-img "$start_qemu"
    LIMIT=()
}

compare() {
    has qemu-img compare || return 0
    need vhdx
    OURS=("$vhdkit" compare "$work/source.raw" "$work/source.vhdx")
    PEER=(qemu-img compare "$work/source.raw" "$work/source.vhdx")
    compare_runs compare 0.50 0 qemu-img "$start_qemu"
}

hash() {
    has openssl hash || return 0
    need raw
    OURS=("$vhdkit" hash -f raw "$work/source.raw")
    PEER=(openssl dgst -sha256 "$work/source.raw")
    compare_runs hash 1.10 0 openssl "$start_openssl"
}

hash_tree() { # row, kind, target
    has openssl "$1" || return 0
    need "$2"
    OURS=("$vhdkit" hash --tree "$work/source.$2")
    PEER=(openssl dgst -sha256 "$work/source.raw")
    compare_runs "$1" "$3" 0 openssl "$start_openssl"
}

hash_full() {
    "$bench" image "$work/source.raw" $((data_mib * 1048576)) full
    hash_tree hash-tree-full vhdx "-"
    rm -f "$work"/source.*
}

empty() { # row
    has qemu-img "$1" || return 0
    local to="${1##*-to-}" read
    rm -f "$work/empty.vhdx"
    "$vhdkit" create -q -f vhdx "$work/empty.vhdx" 1T
    OURS=("$vhdkit" convert -O "$to" "$work/empty.vhdx" "$OUTPUT")
    PEER=(qemu-img convert -f vhdx -O "$(qemu_name "$to")" "$work/empty.vhdx" "$OUTPUT")
    # Its peer takes half a minute: once is enough.
    turns=1 compare_runs "$1" 0.05 0 qemu-img "$start_qemu"
    if command -v strace >/dev/null; then
        strace -f -qq -e trace=read,pread64,readv,preadv,preadv2 -o "$scratch/strace" "${OURS[@]}"
        read="$(sed -n 's/.* = \([0-9]*\)$/\1/p' "$scratch/strace" | awk '{ sum += $1 } END { printf "%.1f", sum / 1048576 }')"
        record "$1" 0.05 qemu-img "$read MiB read"
    fi
    rm -f "$OUTPUT" "$work/empty.vhdx"
}

random_reads() {
    local depth name
    rm -f "$work"/source.*
    "$bench" image "$work/source.raw" 1G full
    "$vhdkit" convert -O vhdx "$work/source.raw" "$work/source.vhdx"
    "$bench" overlay "$work/source.vhdx" "$work/middle.vhdx" 3
    "$bench" overlay "$work/middle.vhdx" "$work/leaf.vhdx" 3
    for depth in 1 32; do
        "$bench" random-reads "$work/source.raw" "$depth" 0.3 "$work/source.vhdx" "$work/leaf.vhdx" >"$scratch/rates"
        for name in vhdx:source.vhdx:0.85 chain:leaf.vhdx:0.70; do
            if ! wanted "random-read-${name%%:*}-$depth"; then continue; fi
            sed -n "s/^$(cut -d: -f2 <<<"$name") //p" "$scratch/rates" | tr ' ' '\n' | sed 's/=/ /' | awk -v row="random-read-${name%%:*}-$depth" -v target="${name##*:}" -v where="$where" '
                { value[$1] = $2 }
                END { printf "%s\t%s\tRandomAccess\t%.2f\t%.2f\t%.2f\t%s\t%.0fk/s\t%.0fk/s\t\t\t\t\t\t%s\n", row, where, value["ratio"], value["low"], value["high"], target,
                    value["ours"] / 1000, value["peer"] / 1000, "a rate: more is better" }' >"$scratch/row"
            keep_row "random-read-${name%%:*}-$depth"
        done
    done
    rm -f "$work"/source.* "$work"/middle.vhdx "$work"/leaf.vhdx
}

# Past the page cache, a file that lies in memory would show nothing of a medium.
require_medium() { # file
    local kind
    kind="$(stat -f -c %T "$1")"
    case "$kind" in
        tmpfs | ramfs | hugetlbfs)
            echo "$1 lies in memory ($kind): this row needs a medium. Name a folder on one with --disk." >&2
            return 1
            ;;
    esac
}

random_reads_direct() {
    has fio random-reads-direct || return 0
    local raw="$results/$where.random-reads-direct" round
    rm -f "$work"/source.* "$raw".*
    "$bench" image "$work/source.raw" 2G full
    "$vhdkit" convert -O vhdx "$work/source.raw" "$work/source.vhdx"
    require_medium "$work/source.raw"
    require_medium "$work/source.vhdx"
    for ((round = 1; round <= turns; round++)); do
        "$bench" direct-read "$work/source.vhdx" 32 3 | sed -n 's/^rate=//p' >>"$raw.ours"
        fio --name=peer --filename="$work/source.raw" --readonly --rw=randread --bs=4k --iodepth=32 --ioengine=io_uring --direct=1 --time_based --runtime=3 \
            --output-format=terse --terse-version=3 | cut -d ';' -f 8 >>"$raw.peer"
    done
    rm -f "$work"/source.*
    paste -d ' ' "$raw.ours" "$raw.peer" | awk -v where="$where" '
        { one = $1 / $2; if (NR == 1 || one < low) low = one; if (one > high) high = one; if ($1 > ours) ours = $1; if ($2 > peer) peer = $2 }
        END { printf "random-reads-direct\t%s\tfio\t%.2f\t%.2f\t%.2f\t0.95\t%.1fk/s\t%.1fk/s\t\t\t\t\t\t%s\n", where, ours / peer, low, high, ours / 1000, peer / 1000,
            "a rate: more is better" }' >"$scratch/row"
    keep_row random-reads-direct
}

open_full() {
    rm -f "$work/full.vhdx"
    "$vhdkit" create -q -f vhdx -o subformat=fixed,block_size=1M "$work/full.vhdx" 1T
    "$bench" open "$work/full.vhdx" $((turns * 3 + 20)) | sed 's/[a-z]*=//g' | awk -v where="$where" '
        { printf "open-full\t%s\ttarget\t%.2f\t%.2f\t%.2f\t1.00\t%.4f\t0.0200\t\t\t\t\t\t%s\n", where, $1 / 0.02, $1 / 0.02, $2 / 0.02, $1, "seconds" }' >"$scratch/row"
    keep_row open-full
    rm -f "$work/full.vhdx"
}

allocating_writes() { # row, format, target
    has qemu-io "$1" || return 0
    local format="$2" round raw="$results/$where.$1" image="$work/blocks.$2" block=$((1 << 20)) count=4000 note="" syncs logs i
    if [ "$format" = vhd ]; then block=$((2 << 20)); fi
    for ((i = 0; i < count; i++)); do echo "write -q -P 0x5a $((i * block)) 4k"; done >"$scratch/commands"
    echo flush >>"$scratch/commands"
    rm -f "$raw".*
    for ((round = 1; round <= turns && round <= 3; round++)); do
        new_blocks "$image" "$format" "$block" "$count"
        run_once "$raw.ours" 0 "$bench" allocating-writes "$image" "$count"
        new_blocks "$image" "$format" "$block" "$count"
        run_once "$raw.peer" "$start_qemu" sh -c 'exec qemu-io -f "$1" "$2" <"$3"' sh "$(qemu_name "$format")" "$image" "$scratch/commands"
    done
    if command -v strace >/dev/null; then
        new_blocks "$image" "$format" "$block" "$count"
        strace -f -qq -y -e trace=fsync,fdatasync,pwrite64,pwritev,pwritev2 -o "$scratch/strace" "$bench" allocating-writes "$image" "$count" >/dev/null
        syncs="$(grep -cE 'f(data)?sync\(.*blocks\.' "$scratch/strace" || true)"
        note="$syncs fdatasync"
        if [ "$format" = vhdx ]; then
            # The log of a new image lies in its second MiB.
            logs="$(sed -nE 's/.*pwrite[^(]*\([0-9]+<[^>]*blocks\.[^>]*>.*, ([0-9]+)(, [A-Z_0]+)?\) += [0-9]+$/\1/p' "$scratch/strace" | awk '$1 >= 1048576 && $1 < 2097152' | wc -l)"
            note="$note, $logs log writes"
        fi
    fi
    rm -f "$image"
    record "$1" "$3" qemu-io "$note"
}

new_blocks() { # image, format, block size, count
    rm -f "$1"
    if [ "$2" = vhdx ]; then
        "$vhdkit" create -q -f vhdx -o block_size="$3" "$1" $(($3 * $4))
    else
        "$vhdkit" create -q -f vhd "$1" $(($3 * $4))
    fi
    sync "$1"
}
