# Sourced by peers.sh: what was measured, as a table in Markdown.

# Notes what the figures of a setting are of.
note_setting() {
    local programs="" memory
    if command -v qemu-img >/dev/null; then programs="$programs, $(qemu-img --version | sed -n '1s/^qemu-img version \([0-9.]*\).*/QEMU \1/p')"; fi
    if command -v openssl >/dev/null; then programs="$programs, $(openssl version | cut -d ' ' -f 1,2)"; fi
    if command -v fio >/dev/null; then programs="$programs, $(fio --version)"; fi
    memory="$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)"
    echo "$(sed -n 's/^model name\t*: //p' /proc/cpuinfo | head -n 1), $(nproc) processors, $memory, $(uname -s) $(uname -r | cut -d - -f 1)$programs." >"$results/machine.txt"
    echo "Setting $where: images of $size, $turns rounds; start-up subtracted: vhdkit $start_vhdkit s, qemu-img $start_qemu s, openssl $start_openssl s." >"$results/setting.$where.txt"
}

# The targets are for the memory setting: rows of conversions on a disk have none, and say what the disk makes of it.
print_table() {
    [ -f "$results/rows.tsv" ] || { echo "Nothing was measured yet."; return; }
    echo
    cat "$results/machine.txt" "$results"/setting.*.txt 2>/dev/null && echo
    echo "| work | setting | ratio (rounds) | target | met | vhdkit | peer | of copier | CPU s (ratio) | peak MiB (peer) | |"
    echo "|---|---|---|---|---|---|---|---|---|---|---|"
    list_rows | sed 's/ .*//' | awk -F '\t' '
        NR == FNR { place[$1] = FNR; next }
        { printf "%d\t%d\t%s\n", ($2 == "memory" ? 0 : 1), place[$1], $0 }' - "$results/rows.tsv" | sort -t "$(printf '\t')" -k 1,1n -k 2,2n | cut -f 3- | awk -F '\t' '
        function miss(what) { missed = missed (missed == "" ? "" : ", ") what }
        {
            missed = ""
            isRate = $1 ~ /^random-/
            isConversion = $1 ~ /-to-/
            if ($7 != "-" && (isRate ? $4 < $7 : $4 > $7)) miss(isRate ? "rate" : "time")
            if (isConversion && $7 != "-" && $10 != "" && $10 > 1.3) miss("copier")
            if (isConversion && $7 != "-" && $11 != "" && $1 !~ /^empty/ && $11 > 0.6) miss("CPU")
            if (isConversion && $13 > 100) miss("memory")
            met = ($7 == "-" ? "" : missed == "" ? "yes" : "no: " missed)
            printf "| %s | %s | %s (%s to %s) | %s | %s | %s | %s %s | %s | %s | %s | %s |\n", $1, $2, $4, $5, $6, ($7 == "-" ? "" : (isRate ? "≥ " : "≤ ") $7), met, $8, $9, $3, $10,
                ($12 == "" ? "" : $12 ($11 == "" ? "" : " (" $11 ")")), ($13 == "" || $13 == 0 ? "" : $13 (isRate || $14 == 0 ? "" : " (" $14 ")")), $15
        }'
}
