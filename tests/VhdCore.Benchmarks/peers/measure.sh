# Sourced by peers.sh: how one run is timed, and what becomes of the figures; table.sh shows them.

# Best times of programs that do nothing, to subtract.
find_startup() {
    local i
    for i in 1 2 3 4 5 6 7 8 9; do
        run_once "$scratch/start.vhdkit" 0 "$vhdkit" --version
        if command -v qemu-img >/dev/null; then run_once "$scratch/start.qemu" 0 qemu-img --version; fi
        if command -v openssl >/dev/null; then run_once "$scratch/start.openssl" 0 openssl version; fi
    done
    start_vhdkit="$(best 1 "$scratch/start.vhdkit")"
    start_qemu="$(best 1 "$scratch/start.qemu")"
    start_openssl="$(best 1 "$scratch/start.openssl")"
    echo "Start-up: vhdkit $start_vhdkit s, qemu-img $start_qemu s, openssl $start_openssl s; subtracted below."
}

# Runs a program and appends a line of "seconds cpu-seconds MiB". A program that prints seconds=X has timed itself.
run_once() { # file, seconds to subtract, command...
    local into="$1" start="$2" from to
    shift 2
    from="$EPOCHREALTIME"
    if ! /usr/bin/time -o "$scratch/time" -f '%U %S %M' "$@" >"$scratch/out" 2>"$scratch/err"; then
        echo "FAILED: $*" >&2
        cat "$scratch/out" "$scratch/err" >&2
        return 1
    fi
    to="$EPOCHREALTIME"
    awk -v from="$from" -v to="$to" -v start="$start" -v own="$(sed -n 's/^seconds=//p' "$scratch/out")" \
        '{ printf "%.4f %.2f %.1f\n", (own != "" ? own : to - from - start), $1 + $2, $3 / 1024 }' "$scratch/time" >>"$into"
}

best() { # column, file
    [ -f "$2" ] || { echo 0; return; }
    awk -v column="$1" 'NR == 1 || $column < low { low = $column } END { print low + 0 }' "$2"
}

worst() { # column, file
    [ -f "$2" ] || { echo 0; return; }
    awk -v column="$1" 'NR == 1 || $column > high { high = $column } END { print high + 0 }' "$2"
}

# Memory that a program writes is warm when it was in use a moment ago; a virtual machine's host may have to find it first otherwise.
warm() { # MiB
    if [ "$where" = memory ] && [ "$1" -gt 0 ]; then
        dd if=/dev/zero of="$work/warm" bs=1M count="$1" status=none
        rm -f "$work/warm"
    fi
}

# One row: OURS, PEER and perhaps LIMIT are run in turns, OUTPUT is deleted before each.
compare_runs() { # row, target ratio, MiB to warm, name of the peer, its start-up
    local row="$1" target="$2" mib="$3" peer="$4" peer_start="$5" round raw="$results/$where.$1"
    rm -f "$raw".*
    for ((round = 1; round <= turns; round++)); do
        fresh "$mib" && run_once "$raw.ours" "$start_vhdkit" "${OURS[@]}"
        fresh "$mib" && run_once "$raw.peer" "$peer_start" "${PEER[@]}"
        if [ ${#LIMIT[@]} -gt 0 ]; then fresh "$mib" && run_once "$raw.limit" 0 "${LIMIT[@]}"; fi
    done
    rm -f ${OUTPUT:+"$OUTPUT"}
    record "$row" "$target" "$peer"
}

fresh() { # MiB
    rm -f ${OUTPUT:+"$OUTPUT"}
    warm "$1"
    if [ "$where" = disk ]; then sync; fi
}

# Works the runs of a row out into one line: row setting peer ratio low high target ours peers limit-ratio cpu-ratio cpu-ours MiB-ours MiB-peer note
record() { # row, target, peer, note
    local raw="$results/$where.$1" limit
    limit="$(best 1 "$raw.limit")"
    paste -d ' ' "$raw.ours" "$raw.peer" | awk -v row="$1" -v where="$where" -v target="$2" -v peer="$3" -v note="${4:-}" -v limit="$limit" \
        -v ours="$(best 1 "$raw.ours")" -v peers="$(best 1 "$raw.peer")" -v cpu="$(best 2 "$raw.ours")" -v peercpu="$(best 2 "$raw.peer")" \
        -v memory="$(worst 3 "$raw.ours")" -v peermemory="$(worst 3 "$raw.peer")" '
        { one = $1 / $4; if (NR == 1 || one < low) low = one; if (NR == 1 || one > high) high = one }
        END { printf "%s\t%s\t%s\t%.3g\t%.3g\t%.3g\t%s\t%.3f\t%.3f\t%s\t%s\t%.2f\t%.0f\t%.0f\t%s\n", row, where, peer, ours / peers, low, high, target, ours, peers,
            (limit > 0 ? sprintf("%.2f", ours / limit) : ""), (peercpu > 0 ? sprintf("%.2f", cpu / peercpu) : ""), cpu, memory, peermemory, note }' >"$scratch/row"
    keep_row "$1"
}

# Puts a line into the results in the place of an older one.
keep_row() { # row
    [ -s "$scratch/row" ] || return 1
    touch "$results/rows.tsv"
    awk -F '\t' -v row="$1" -v where="$where" '!($1 == row && $2 == where)' "$results/rows.tsv" >"$scratch/rows"
    cat "$scratch/rows" "$scratch/row" >"$results/rows.tsv"
    awk -F '\t' '{ printf "  %-22s %-6s ratio %s (%s to %s) of %s, target %s %s\n", $1, $2, $4, $5, $6, $3, $7, $15 }' "$scratch/row"
}
