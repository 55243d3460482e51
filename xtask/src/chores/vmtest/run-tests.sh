#!/bin/busybox sh
# Sets the machine up as a pure cgroup v2 host, runs each suite and turns the machine off. Lines
# that begin with "@vm" are for the host (vmtest/outcome.rs).
export PATH=/usr/local/bin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo "+memory +pids" > /sys/fs/cgroup/cgroup.subtree_control
mount -t tracefs tracefs /sys/kernel/tracing
mount -t securityfs securityfs /sys/kernel/security
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
# As many descriptors as container runtimes allow: some deaths come of that.
ulimit -n 1048576
# The victims of a whole node are its own: it may run full.
export TRACER_TEST_THROW_AWAY_MACHINE=1 TRACER_TEST_PRIVILEGED=required
export TRACER_TEST_SMALL_MACHINE=1
export TRACER_BIN=/usr/bin/tracer TRACER_VICTIMS=/victims TRACER_CRASH_SCHEMA=/crash.schema.json
# Linux 6.1 verifies the programs for ten seconds at each load on an emulated processor: what the recorder of failed calls
# alone tells is left to 6.12 there.
skip=""
case "$(uname -r) $(grep -m 1 'model name' /proc/cpuinfo)" in
6.1.*TCG*)
    for family in network files limits loader exceptions exits; do skip="$skip --skip $family::"; done
    ;;
esac
echo "@vm booted $(uname -r)"
NO_COLOR=1 tracer doctor
for suite in @SUITES@; do
    echo "@vm begin $suite"
    # Each word of $skip is an argument.
    # shellcheck disable=SC2086
    "/tests/$suite" @FILTERS@ $skip < /dev/null 2>&1
    echo "@vm end $suite $?"
done
echo "@vm off"
poweroff -f
