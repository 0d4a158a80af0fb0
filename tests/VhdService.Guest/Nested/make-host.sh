#!/usr/bin/env bash
# Makes the outer machine's file system: make-host.sh KERNEL_PACKAGE MONITOR DATA OUTPUT; what is in DATA becomes /data
set -euo pipefail

package="$1" monitor="$2" data="$3" output="$4"
export PATH="$PATH:/usr/sbin:/sbin"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(mktemp -d)"
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,data,dev,lib,lib64,modules,proc,sys,tmp}
cp "$(command -v busybox)" "$root/bin/busybox"
"$root/bin/busybox" --list | while read -r applet; do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"; done
cp "$here/host-init.sh" "$root/init"
chmod +x "$root/init"
mknod "$root/dev/console" c 5 1 2>/dev/null || true # the kernel mounts its own over it; without root there is none before

for module in irqbypass kvm kvm-amd; do
    file="$(find "$package" -name "$module.ko*" | head -n 1)"
    case "$file" in
        *.xz) xz -dc "$file" >"$root/modules/$module.ko" ;;
        *) cp "$file" "$root/modules/$module.ko" ;;
    esac
done

cp "$monitor" "$root/bin/MiniHypervisor"
ldd "$monitor" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -Ln "$library" "$root$library"
done
cp -a "$data"/. "$root/data"

# One disk: newer kernels number disks in the order that they happen to find them.
mke2fs -q -t ext4 -O ^has_journal -d "$root" -r 1 -N 4096 "$output" 2200M
