#!/bin/sh
# Runs in the guest, as its first process. Says OK or BAD for everything it tries; what begins with CONTROL is for the monitor.
# The kernel gives words of its command line as variables: disks, mode, hot.
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp

check() { # what, command...
    local what="$1"
    shift
    if "$@" >/tmp/out 2>&1; then
        echo "OK $what"
    else
        echo "BAD $what"
        cat /tmp/out
    fi
}

wait_for() { # command...: until it succeeds, or 30 seconds have passed
    local tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 150 ] || return 1
        sleep 0.2
    done
}

has_disks() { [ "$(ls /sys/block | grep -c '^sd')" -eq "$1" ]; }
forget() { echo 3 >/proc/sys/vm/drop_caches; }
same_at() { # disk, first MiB
    forget
    dd if="/dev/$1" bs=1M skip="$2" count=1 2>/dev/null | cmp - /pattern
}
is_zero_at() { # disk, first MiB
    forget
    dd if="/dev/$1" bs=1M skip="$2" count=1 2>/dev/null | cmp - /zeros
}

disk_of() { # unit: the kernel numbers disks as it finds them, and it looks for several at once
    for path in /sys/block/sd?; do
        case "$(readlink -f "$path/device")" in
            *:0:0:"$1") echo "${path##*/}" ;;
        esac
    done
}

describe() { # unit, disk
    local queue="/sys/block/$2/queue"
    echo "INFO $1 lbs=$(cat $queue/logical_block_size) pbs=$(cat $queue/physical_block_size) granularity=$(cat $queue/discard_granularity)" \
        "fua=$(cat $queue/fua) cache=$(cat $queue/write_cache | tr ' ' -) rotational=$(cat $queue/rotational) size=$(cat /sys/block/$2/size) max=$(cat $queue/max_sectors_kb)"
}

write_and_compare() {
    dd if=/pattern of="/dev/$1" bs=64k seek=128 conv=fsync 2>/dev/null && same_at "$1" 8
}

write_small_and_compare() { # twelve pages, one at a time, over what is there
    for i in 0 1 2 3 4 5 6 7 8 9 10 11; do
        dd if=/pattern of="/dev/$1" bs=4096 skip=$((i * 3)) seek=$((2560 + i * 5)) count=1 conv=notrunc,fsync 2>/dev/null || return 1
    done
    forget
    for i in 0 1 2 3 4 5 6 7 8 9 10 11; do
        dd if=/pattern bs=4096 skip=$((i * 3)) count=1 2>/dev/null >/tmp/a
        dd if="/dev/$1" bs=4096 skip=$((2560 + i * 5)) count=1 2>/dev/null | cmp - /tmp/a || return 1
    done
}

discard() { # disk, unit
    dd if=/pattern of="/dev/$1" bs=1M seek=16 conv=fsync 2>/dev/null && dd if=/pattern of="/dev/$1" bs=1M seek=17 conv=fsync 2>/dev/null || return 1
    blkdiscard -o $((16 << 20)) -l $((2 << 20)) "/dev/$1" || return 1
    if is_zero_at "$1" 16; then
        is_zero_at "$1" 17 && echo "INFO $2 discarded=zeros" >/dev/console
    else
        same_at "$1" 16 && same_at "$1" 17 && echo "INFO $2 discarded=kept" >/dev/console
    fi
}

file_system() { # disk: left mounted, so that its journal is in use when the guest ends
    /bin/mke2fs -q -F -t ext4 "/dev/${1}1" || return 1
    mkdir -p "/mnt/$1"
    mount -t ext4 -o discard "/dev/${1}1" "/mnt/$1" || return 1
    cp /pattern "/mnt/$1/first" && cp /bin/busybox "/mnt/$1/second" && sync || return 1
    umount "/mnt/$1" && mount -t ext4 -o discard "/dev/${1}1" "/mnt/$1" || return 1
    cmp /pattern "/mnt/$1/first" && cmp /bin/busybox "/mnt/$1/second" || return 1
    rm "/mnt/$1/second" && cp /pattern "/mnt/$1/third" && sync
}

both_processors() { # two disks
    taskset 1 dd if="/dev/$1" of=/dev/null bs=256k count=64 2>/dev/null &
    taskset 2 dd if="/dev/$2" of=/dev/null bs=256k count=64 2>/dev/null &
    wait
    taskset 2 dd if=/pattern of="/dev/$1" bs=64k seek=320 conv=fsync 2>/dev/null && same_at "$1" 20
}

grows() { # disk, sectors: a command has to find the new size out
    dd if="/dev/$1" of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null
    [ "$(cat "/sys/block/$1/size")" -eq "$2" ]
}
page_fails() { ! dd if="/dev/$1" of=/dev/null bs=4096 skip="$2" count=1 iflag=direct 2>/dev/null; }
page_reads() { ! page_fails "$1" "$2"; }
is_gone() { [ ! -d "/sys/block/$1" ]; }

plug() {
    local new
    echo "CONTROL add /data/$hot,sectors=512e,size=64M"
    check "add" wait_for has_disks $((disks + 1))
    new="$(disk_of "$disks")"
    check "add-reads" same_at "$new" 1
    echo "CONTROL resize $disks 96M"
    check "resize" wait_for grows "$new" 196608
    check "resize-writes" sh -c "dd if=/pattern of=/dev/$new bs=1M seek=90 conv=fsync && dd if=/dev/$new bs=1M skip=90 count=1 | cmp - /pattern"
    echo "CONTROL fail $disks 20M 4K"
    check "medium-error" wait_for page_fails "$new" 5120
    check "medium-error-ends" page_reads "$new" 5121
    dmesg | grep -q 'critical medium error' && echo "OK medium-error-told"
    echo "CONTROL heal $disks"
    check "heal" wait_for page_reads "$new" 5120
    echo "CONTROL remove $disks"
    check "remove" wait_for is_gone "$new"
}

come_back() { wait_for has_disks "$disks" && same_at "$(disk_of 0)" 1 && same_at "$(disk_of $((disks - 1)))" 1; }
reload() { # takes the driver out and in again, then the bus as well: closes every channel, and disconnects
    taskset "$(nproc)" dd if=/dev/sda of=/dev/null bs=64k count=16 2>/dev/null # by the last channel: of one processor, or of the second
    rmmod hv_storvsc && is_gone sda || return 1
    insmod /modules/hv_storvsc.ko && come_back || return 1
    rmmod hv_storvsc && rmmod hv_vmbus && is_gone sda || return 1
    insmod /modules/hv_vmbus.ko && insmod /modules/hv_storvsc.ko && come_back
}

dd if=/dev/zero of=/zeros bs=1M count=1 2>/dev/null
check "modules" sh /load-modules
check "disks" wait_for has_disks "$disks"
echo "INFO kernel=$(uname -r) processors=$(nproc)"
dmesg | grep -o 'Vmbus version:[0-9.]*'
check "reload" reload
unit=0
while [ $unit -lt "$disks" ]; do
    disk="$(disk_of $unit)"
    describe $unit "$disk"
    check "read $unit" same_at "$disk" 1
    check "write $unit" write_and_compare "$disk"
    check "small $unit" write_small_and_compare "$disk"
    check "discard $unit" discard "$disk" $unit
    check "ext4 $unit" file_system "$disk"
    unit=$((unit + 1))
done
if [ "$(nproc)" -gt 1 ]; then
    check "processors" both_processors "$(disk_of 0)" "$(disk_of 1)"
    for channel in /sys/bus/vmbus/devices/*/channels/*; do
        echo "CHANNEL ${channel##*/} cpu=$(cat $channel/cpu) interrupts=$(cat $channel/interrupts)"
    done
fi
if [ "$mode" = plug ]; then
    plug
    dmesg | grep -E 'Hyper-V|hv_|scsi|sd [0-9]|EXT4' | tail -n 60 | sed 's/^/DMESG /'
fi
# What the emulated processor says of its extended state is not the kernel's size of it: arch/x86/kernel/fpu warns of that.
dmesg | grep -E 'BUG:|WARNING:|Oops|I/O error|timed out' | grep -v 'fpu/xstate' | sed 's/^/BAD kernel: /'
sync
echo "OK end"
reboot -f
