# shellcheck shell=bash disable=SC2034
proves="the packages for amd64, arm64 and every 32-bit Pi: built the same twice, lintian clean, contents, sizes; all three run"
machine=here
tools=(dnsmasq-base git iproute2 lintian qemu-user-static util-linux)
seconds=5400
