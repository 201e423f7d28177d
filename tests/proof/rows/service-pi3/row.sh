# shellcheck shell=bash disable=SC2034,SC2054,SC2154 # The commas are QEMU's.
proves="the arm64 package's service on an emulated Pi 3: rppal, a real I2C sensor, WSS to a broker on the host, stop levels"
machine=pi3-debian
modules=()
# A temperature sensor on the Pi's I2C bus 1. A network on USB, as the Pi 3's own is; behind it is nothing but this machine's
# loopback, at 10.0.2.2.
options=(-device tmp105,bus=i2c-bus.1,address=0x48,id=thermometer -netdev user,id=net,restrict=off -device usb-net,netdev=net)
seconds=900
# What the broker must have got.
expects=('channel 1 stored entry [0-9]+ of .* field1=21\.5( |$)' 'channel 1 stored entry [0-9]+ of .* field1=-12\.5( |$)'
    'channel 1 stored entry [0-9]+ of .* field2=1')

# The broker's certificate and credentials, made before it is there: the Pi takes them along.
prepare() {
    local folder=$1/sandbox
    "$lookalike" sandbox serve --dir "$folder" --name broker.test >/dev/null &
    until [[ -s $folder/endpoints ]]; do
        kill -0 $! || stop "the sandbox does not start."
        sleep 0.1
    done
    kill $!
    wait $! || true
    rm -rf "$cache/pi-broker"
    cp -R "$folder" "$cache/pi-broker"
}

# Beside the machine, in its network.
beside() {
    exec "$lookalike" sandbox serve --dir "$cache/pi-broker" --name broker.test --channel 1:paid --channel 2:paid
}
