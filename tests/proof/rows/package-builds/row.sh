# shellcheck shell=bash disable=SC2034
proves="the packages for amd64, arm64 and every 32-bit Pi: built the same twice, lintian clean, contents, sizes; all three run"
machine=here
seconds=5400
