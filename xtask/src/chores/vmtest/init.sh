#!/bin/busybox sh
# First process of the virtual machine. An initramfs cannot be pivoted away from, as container
# runtimes do: the root moves to a filesystem of its own.
B=/bin/busybox
$B mkdir /new
$B mount -t tmpfs -o mode=755,size=75% root /new
$B mv /root-tree/* /new/
exec $B switch_root /new /run-tests
