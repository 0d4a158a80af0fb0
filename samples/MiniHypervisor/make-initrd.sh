#!/usr/bin/env bash
# Makes an initial RAM disk: busybox, the modules that hv_storvsc and the disks on it need, and an init.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: make-initrd.sh --modules ROOT --init SCRIPT --output FILE [--program PROGRAM]... [--file FILE=NAME]...

  --modules ROOT     an unpacked kernel package: it has lib/modules/VERSION (or usr/lib/modules/VERSION)
  --init SCRIPT      becomes /init; /load-modules loads the modules
  --program PROGRAM  goes to /bin with the libraries it needs
  --file FILE=NAME   goes where NAME says

Needs busybox-static, kmod and cpio.
TEXT
}

modules="" init="" output=""
programs=()
files=()
while [ $# -gt 0 ]; do
    case "$1" in
        --modules) modules="$2" ;;
        --init) init="$2" ;;
        --output) output="$2" ;;
        --program) programs+=("$2") ;;
        --file) files+=("$2") ;;
        *)
            usage >&2
            exit 1
            ;;
    esac
    shift 2
done

if [ -z "$modules" ] || [ -z "$init" ] || [ -z "$output" ]; then
    usage >&2
    exit 1
fi

export PATH="$PATH:/usr/sbin:/sbin"
for tool in busybox depmod modprobe cpio gzip; do
    command -v "$tool" >/dev/null || {
        echo "$tool is missing: install busybox-static, kmod, cpio and gzip." >&2
        exit 1
    }
done

root="$(mktemp -d)"
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,dev,proc,sys,lib,lib64,mnt,modules,tmp}
cp "$(command -v busybox)" "$root/bin/busybox"
"$root/bin/busybox" --list | while read -r applet; do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"; done

# The modules in the order that they need each other, uncompressed.
[ -d "$modules/lib/modules" ] || modules="$modules/usr"
version="$(ls "$modules/lib/modules" | head -n 1)"
depmod -b "$modules" "$version"
for module in hv_vmbus hv_storvsc sd_mod crc32c_generic ext4; do
    modprobe -d "$modules" -S "$version" --show-depends "$module" 2>/dev/null || true # what is built in has no file
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r file; do
    name="$(basename "$file")"
    name="${name%.xz}"
    name="${name%.zst}"
    case "$file" in
        *.xz) xz -dc "$file" >"$root/modules/$name" ;;
        *.zst) zstd -qdc "$file" >"$root/modules/$name" ;;
        *) cp "$file" "$root/modules/$name" ;;
    esac
    echo "insmod /modules/$name"
done >"$root/load-modules"
sed -i '1i #!/bin/sh' "$root/load-modules"
chmod +x "$root/load-modules"

for program in ${programs[@]+"${programs[@]}"}; do
    path="$(command -v "$program")"
    rm -f "$root/bin/$(basename "$program")" # busybox may have one of the name
    cp "$path" "$root/bin/"
    ldd "$path" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -n "$library" "$root$library"
    done
done

for file in ${files[@]+"${files[@]}"}; do
    mkdir -p "$root$(dirname "${file#*=}")"
    cp "${file%%=*}" "$root${file#*=}"
done

cp "$init" "$root/init"
chmod +x "$root/init"
(cd "$root" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 | gzip -1) >"$output"
