# shellcheck shell=bash disable=SC2034
proves="ten healthy minutes: 0 bytes written to the state directory"
machine=here
seconds=900
