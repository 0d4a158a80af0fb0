#!/bin/sh
# Runs in the outer machine, as its first process: one monitor after the other, as /data/lives says, a line each: a name, the seconds it may take, and the
# monitor's arguments. Speaks on the second serial port; the first is the kernel's.
mount -t devtmpfs dev /dev 2>/dev/null
exec >/dev/ttyS1 2>&1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
for module in irqbypass kvm kvm-amd; do
    insmod "/modules/$module.ko"
done
[ -c /dev/kvm ] || echo "HOST has no KVM"
export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1
cp /data/lives /tmp/lives
while sleep 5; do
    echo "HOST alive"
done &
while IFS=' ' read -r name limit arguments <&4; do
    echo "LIFE $name BEGIN $(cut -d' ' -f1 /proc/uptime)"
    mkfifo "/tmp/$name"
    exec 3<>"/tmp/$name"
    {
        eval "timeout -s KILL $limit /bin/MiniHypervisor $arguments --control /tmp/$name" </dev/null
        echo $? >"/tmp/$name.exit"
    } 2>&1 | while IFS= read -r line; do
        line="${line%$(printf '\r')}"
        echo "$line"
        case "$line" in
            "CONTROL "*) echo "${line#CONTROL }" >&3 ;;
        esac
    done
    exec 3>&-
    sync # what this life has left is good, whatever becomes of the next
    echo "LIFE $name END $(cut -d' ' -f1 /proc/uptime) exit=$(cat "/tmp/$name.exit")"
done 4</tmp/lives
sync
mount -o remount,ro / || echo "HOST cannot put its disk in order"
echo "HOST done"
poweroff -f
