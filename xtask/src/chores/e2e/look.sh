# look.sh MODE ARGS: what a node holds of the tracer. Its folders are below /host. No programs are at hand but /victim.
each_pin() {
    for f in /host/sys/fs/bpf/tracer/* /host/sys/fs/bpf/tracer/*/* /host/sys/fs/bpf/tracer/*/*/*; do
        if [ -f "$f" ]; then echo "$f"; fi
    done
}
ids() {
    while read -r key id; do
        case $key in prog_id: | map_id: | link_id:) echo "$key $id" ;; esac
    done
}
case $1 in
store) # whether there is one
    if [ -e /host/var/lib/tracer ]; then echo yes; else echo no; fi
    ;;
forget) # the store
    if [ -e /host/var/lib/tracer ]; then /victim remove /host/var/lib/tracer/* /host/var/lib/tracer; fi
    ;;
objects) # CONTAINER: what its processes hold in the kernel, and what is pinned
    for process in /proc/[0-9]*; do
        mine=
        while read -r line; do
            case $line in *"$2"*) mine=yes ;; esac
        done 2>/dev/null <"$process/cgroup"
        [ "$mine" ] || continue
        for f in "$process"/fdinfo/*; do
            ids 2>/dev/null <"$f"
        done
    done
    each_pin | while read -r f; do /victim pinned "$f"; done | ids
    ;;
left) # paths that an agent makes
    each_pin
    for f in /host/sys/fs/bpf/tracer /host/run/tracer /host/run/tracer/*; do
        if [ -e "$f" ]; then echo "$f"; fi
    done
    ;;
esac
exit 0
