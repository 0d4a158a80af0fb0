#!/bin/sh
# Runs in the outer machine, as its first process: one monitor after the other, as /data/lives says, a line each: a name, and the monitor's arguments.
mount -t devtmpfs dev /dev 2>/dev/null
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
for module in irqbypass kvm kvm-amd; do
    insmod "/modules/$module.ko"
done
[ -c /dev/kvm ] || echo "HOST has no KVM"
export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1
cp /data/lives /tmp/lives
while IFS=' ' read -r name arguments <&4; do
    echo "LIFE $name BEGIN $(cut -d' ' -f1 /proc/uptime)"
    mkfifo "/tmp/$name"
    exec 3<>"/tmp/$name"
    eval "timeout -s KILL 900 /bin/MiniHypervisor $arguments --control /tmp/$name" </dev/null 2>&1 | while IFS= read -r line; do
        line="${line%$(printf '\r')}"
        echo "$line"
        case "$line" in
            "CONTROL "*) echo "${line#CONTROL }" >&3 ;;
        esac
    done
    exec 3>&-
    echo "LIFE $name END $(cut -d' ' -f1 /proc/uptime)"
done 4</tmp/lives
sync
mount -o remount,ro / || echo "HOST cannot put its disk in order"
echo "HOST done"
poweroff -f
