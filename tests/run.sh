#!/usr/bin/env bash
# Runs the tests, and ends with one line: N passed, N failed, N skipped.
# Needs the .NET 10 SDK; installs by apt, where it may, the programs that tests compare with.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: tests/run.sh [--only KIND] [--long] [--full] [--no-install]

  --only KIND    unit, interop, simulation, fuzz or guest; everything without it
  --long         longer campaigns of the simulation and the fuzzer
  --full         every combination of the guest tests, and a second kernel
  --no-install   install and download nothing; tests that lack their peer skip and say so

The campaigns can be set one by one as well:
  VHDKIT_SIMULATION_CUTS   power cuts that the simulation tries
  VHDKIT_SIMULATION_FIRST  the seed it begins with: to go on with a campaign that was
                           ended early, which says every minute how far it is
  VHDKIT_FUZZ_SECONDS      seconds that each fuzzer goes on, from a new first seed, which it
                           prints; without it, the same images every time
  VHDKIT_FUZZ_LENGTHS=all  cuts images at every byte of their structures
  VHDKIT_SEED              repeats one seed of the simulation or the models
  VHDKIT_FUZZ_SEED         the first seed of the fuzzers
  VHDKIT_SAMPLES           folder of real images to read, where there is one
TEXT
}

kind=all
install=yes
while [ $# -gt 0 ]; do
    case "$1" in
        --only)
            kind="${2:-}"
            shift
            ;;
        --only=*) kind="${1#--only=}" ;;
        --long)
            export VHDKIT_SIMULATION_CUTS="${VHDKIT_SIMULATION_CUTS:-1000000}"
            export VHDKIT_FUZZ_SECONDS="${VHDKIT_FUZZ_SECONDS:-1200}"
            export VHDKIT_FUZZ_LENGTHS="${VHDKIT_FUZZ_LENGTHS:-all}"
            ;;
        --full) export VHDKIT_GUEST_FULL=1 ;;
        --no-install) install=no ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            usage >&2
            exit 1
            ;;
    esac
    shift
done

case "$kind" in
    all | unit | interop | simulation | fuzz | guest) ;;
    *)
        usage >&2
        exit 1
        ;;
esac

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
reports="$root/artifacts/tests"
project_limit="${VHDKIT_TEST_LIMIT:-60m}" # a project that takes longer is ended, and counts as failed

passed=0
failed=0
skipped=0
failures=()

finish() {
    if [ ${#failures[@]} -gt 0 ]; then
        echo
        echo "Failed:"
        printf '  %s\n' "${failures[@]}"
    fi
    print_skips
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
    exit
}

fail() {
    failed=$((failed + 1))
    failures+=("$1")
}

# Each reason once, with how many tests it kept from running.
print_skips() {
    [ "$skipped" -gt 0 ] || return 0
    echo
    echo "Skipped, and why:"
    cat "$reports"/*.xml | sed 's/<test /\n&/g' | sed -n 's/^<test .*result="Skip".*<reason><!\[CDATA\[\(.*\)\]\]><\/reason>.*/\1/p' \
        | sort | uniq -c | sed 's/^ *\([0-9]*\) /  \1 x /'
}

# The peers: program, package. What is there already is left alone.
peers="mkfs.xfs:xfsprogs mkfs.btrfs:btrfs-progs qemu-img:qemu-utils qemu-io:qemu-utils vhdimount:libvhdi-utils fusermount:fuse3"
guest_peers="qemu-system-x86_64:qemu-system-x86 busybox:busybox-static kmod:kmod cpio:cpio mke2fs:e2fsprogs xz:xz-utils"

install_peers() {
    local missing="" peer as_root=""
    for peer in $peers; do
        command -v "${peer%%:*}" >/dev/null || case " $missing " in
            *" ${peer##*:} "*) ;;
            *) missing="$missing ${peer##*:}" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    if [ "$install" = no ]; then
        echo "Not installed, as asked:$missing. Tests that need them skip."
        return 0
    fi
    if ! command -v apt-get >/dev/null; then
        echo "There is no apt-get to install$missing with. Tests that need them skip."
        return 0
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
            echo "Neither root nor sudo without a password: cannot install$missing. Tests that need them skip."
            return 0
        fi
        as_root="sudo -n"
    fi
    echo "Installing$missing (tests compare with them)..."
    local log="$reports/apt.log" package
    $as_root apt-get update >"$log" 2>&1 </dev/null || echo "apt-get update failed; trying with the lists there are."
    for package in $missing; do
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-remove --no-install-recommends "$package" >>"$log" 2>&1 </dev/null \
            || echo "apt-get could not install $package (see $log). Tests that need it skip."
    done
}

# Kernels for the guests of the guest tests: Debian's packages, unpacked and not installed.
fetch_kernels() {
    local line package folder
    [ "$install" = yes ] && command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 0
    if [ -z "$(apt-cache depends linux-image-cloud-amd64 2>/dev/null)" ] && [ "$(id -u)" -eq 0 ]; then
        apt-get update >>"$reports/apt.log" 2>&1 </dev/null || true
    fi
    for line in linux-image-cloud-amd64 ${VHDKIT_GUEST_FULL:+linux-image-6.12-cloud-amd64}; do
        folder="$root/artifacts/kernels/$line"
        [ ! -d "$folder/boot" ] || continue
        package="$(apt-cache depends "$line" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)"
        [ -n "$package" ] || continue
        echo "Fetching $package (a guest of the guest tests boots it)..."
        mkdir -p "$folder.new"
        (cd "$folder.new" && { apt-get download "$package" || apt-get download "$package-unsigned"; } && dpkg-deb -x ./*.deb . && rm ./*.deb) >>"$reports/apt.log" 2>&1 </dev/null \
            && mv "$folder.new" "$folder" || echo "It could not be fetched (see $reports/apt.log). Tests that need it skip."
        rm -rf "$folder.new"
    done
}

build() { # configuration, project or solution
    echo "Building $2 ($1)..."
    if ! dotnet build "$root/$2" -c "$1" -nologo -v quiet >"$reports/build.log" 2>&1 </dev/null; then
        grep -E 'error|warn' "$reports/build.log" | sort -u | head -n 50 || tail -n 50 "$reports/build.log"
        fail "the build of $2 ($1)"
        finish
    fi
}

count() { # attribute, report
    sed -n "s/.*<assembly [^>]*[ ]$1=\"\([0-9]*\)\".*/\1/p" "$2" | head -n 1
}

run_project() { # project, configuration
    local name="$1.$2" report="$reports/$1.$2.xml" code=0
    echo
    echo "== $1 ($2)"
    timeout --kill-after=30s "$project_limit" dotnet "$root/tests/$1/bin/$2/net10.0/$1.dll" \
        --report-xunit --report-xunit-filename "$name.xml" --results-directory "$reports" --no-ansi --no-progress </dev/null || code=$?
    local p="" f="" e="" s=""
    if [ -f "$report" ]; then
        p="$(count passed "$report")"
        f="$(count failed "$report")"
        e="$(count errors "$report")"
        s="$(count skipped "$report")"
    fi
    if [ -z "$p" ] || [ -z "$f" ] || [ -z "$s" ]; then
        fail "$name: ended with exit code $code and no report"
        return
    fi
    f=$((f + ${e:-0}))
    passed=$((passed + p))
    failed=$((failed + f))
    skipped=$((skipped + s))
    while IFS= read -r line; do
        failures+=("$name: $line")
    done < <(sed 's/<test /\n&/g' "$report" | sed -n 's/^<test [^>]*name="\([^"]*\)"[^>]*result="Fail".*/\1/p')
    if [ $((p + f + s)) -eq 0 ]; then
        fail "$name: ran no test"
    elif [ "$code" -ne 0 ] && [ "$f" -eq 0 ] && [ "$p" -gt 0 ]; then
        fail "$name: ended with exit code $code although no test failed"
    fi
}

unit_projects="VhdCore.Tests VhdCli.Tests VhdService.Tests"

if ! command -v dotnet >/dev/null; then
    echo "The .NET 10 SDK is not installed: there is no 'dotnet' on PATH." >&2
    fail "the .NET 10 SDK is missing"
    mkdir -p "$reports"
    finish
fi

rm -rf "$reports"
mkdir -p "$reports"
cd "$root"

case "$kind" in
    all) peers="$peers $guest_peers" ;;
    guest) peers="$guest_peers qemu-img:qemu-utils" ;;
esac
case "$kind" in
    all | interop | unit | guest) install_peers ;;
esac
case "$kind" in
    all | guest) fetch_kernels ;;
esac

case "$kind" in
    all)
        build Release VhdKit.sln
        release="$unit_projects VhdCore.Simulation VhdCore.Interop VhdCore.Fuzz VhdService.Fuzz VhdService.Guest"
        ;;
    unit) release="$unit_projects" ;;
    interop) release="VhdCore.Interop" ;;
    simulation) release="VhdCore.Simulation" ;;
    fuzz) release="VhdCore.Fuzz VhdService.Fuzz" ;;
    guest) release="VhdService.Guest" ;;
esac

if [ "$kind" != all ]; then
    for project in $release; do
        build Release "tests/$project"
    done
fi

for project in $release; do
    run_project "$project" Release
done

# Asserts execute in Debug.
if [ "$kind" = all ] || [ "$kind" = unit ]; then
    for project in $unit_projects; do
        build Debug "tests/$project"
        run_project "$project" Debug
    done
fi

finish
