# shellcheck shell=bash disable=SC2034
proves="a wrong password for a minute, then the right one: no entry lost"
machine=here
seconds=1500
