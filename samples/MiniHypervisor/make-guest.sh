#!/usr/bin/env bash
# Makes a Debian guest from Debian's packages: a kernel, an initial RAM disk, and a VHDX with the root file system.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: make-guest.sh FOLDER [--size SIZE] [--suite SUITE]

  FOLDER           gets vmlinuz, initrd.img and debian.vhdx
  --size SIZE      of the disk (2G)
  --suite SUITE    Debian's release (bookworm)

Needs root, debootstrap, busybox-static, kmod, cpio, e2fsprogs and the .NET 10 SDK. Downloads packages and nothing else.
TEXT
}

folder="" size=2G suite=bookworm
while [ $# -gt 0 ]; do
    case "$1" in
        --size)
            size="$2"
            shift
            ;;
        --suite)
            suite="$2"
            shift
            ;;
        -*)
            usage >&2
            exit 1
            ;;
        *) folder="$1" ;;
    esac
    shift
done

if [ -z "$folder" ]; then
    usage >&2
    exit 1
fi

export PATH="$PATH:/usr/sbin:/sbin"
if [ "$(id -u)" -ne 0 ]; then
    echo "A root file system has files of root's: run this as root." >&2
    exit 1
fi

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder"

echo "Making a root file system of $suite..."
debootstrap --variant=minbase --include=systemd-sysv,udev,kmod,e2fsprogs,linux-image-cloud-amd64,initramfs-tools "$suite" "$work/root" >"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    exit 1
}
root="$work/root"
cp "$root"/boot/vmlinuz-* "$folder/vmlinuz"
chroot "$root" passwd -d root >/dev/null
echo debian >"$root/etc/hostname"
echo "/dev/sda / ext4 defaults,discard 0 1" >"$root/etc/fstab"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/boot/initrd.img-*

# Our own initial RAM disk: the storage drivers, and the way to the root file system.
cat >"$work/init" <<'INIT'
#!/bin/sh
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
sh /load-modules
tries=0
while [ ! -b /dev/sda ] && [ $tries -lt 100 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
mount -t ext4 -o ro /dev/sda /mnt || exec sh
mount -o move /dev /mnt/dev
umount /proc /sys
exec switch_root /mnt /sbin/init
INIT
"$here/make-initrd.sh" --modules "$root" --init "$work/init" --output "$folder/initrd.img"

echo "Making $folder/debian.vhdx..."
mke2fs -q -t ext4 -L root -d "$root" "$work/root.raw" "$size"
dotnet run -c Release --project "$here/../../src/VhdCli" -- convert -O vhdx "$work/root.raw" "$folder/debian.vhdx"
ls -l "$folder"
