# shellcheck shell=bash disable=SC2034
proves="no clock at boot: entries wait, and get their own times when it is set; those of a boot without are marked as estimated"
machine=amd64
modules=(virtio_blk ext4)
packages=(libssl3 openssl)
programs=(keep-clock.rs)
# A battery clock that lost its power; what is kept outlives the boots.
options=(-rtc "base=2001-01-01T00:00:00")
clock="unset"
disks=(ext4:8)
boots=4
seconds=300
