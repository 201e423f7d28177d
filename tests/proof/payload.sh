# shellcheck shell=bash disable=SC2154 # The script that sources this sets `cache` and `proof`, and what the row says.
# What an emulated machine boots from: Debian's kernel, a RAM disk that is the same for all, and a second one with the row's part.

# build_machine MACHINE ROW_FOLDER: makes all that the row needs to boot.
build_machine() {
    local architecture payload wanted=()
    architecture=$(architecture_of "$1")
    payload=$cache/$architecture/payload
    unpack_kernel "$architecture"
    make_base "$architecture"
    rm -rf "$payload"
    mkdir -p "$payload/proof"
    if [[ $1 == *-debian ]]; then
        make_system_image "$architecture"
        make_service_payload "$architecture" "$2" "$payload/proof"
        cp "$proof/guest/proof.service" "$payload/proof/"
        read -ra wanted <<<"${system_modules[$architecture]}"
    else
        make_payload "$architecture" "$2" "$payload"
    fi
    add_modules "$architecture" "$2" "$payload/proof/modules" "${wanted[@]}" "${modules[@]}"
    pack "$payload" "$cache/$architecture/payload.cpio.gz"
    cat "$cache/$architecture/base.cpio.gz" "$cache/$architecture/payload.cpio.gz" >"$cache/$architecture/initrd"
}

# Unpacks the newest kernel of backports, once; its version stands in a file beside it.
unpack_kernel() {
    local folder=$cache/$1 image
    if [[ ! -f $folder/kernel || ! -d $folder/linux ]]; then
        image=$(backports_version_of "$1" "linux-image-$1" linux-image-6)
        [[ -n $image ]] || stop "bookworm-backports has no linux-image-$1."
        rm -rf "$folder/linux"
        unpack "$1" "$folder/linux" "$image"
        depmod -b "$folder/linux" "${image#linux-image-}"
        echo "${image#linux-image-}" >"$folder/kernel"
    fi
}

# The part of the RAM disk that every row shares.
make_base() {
    local folder=$cache/$1 base=$cache/$1/base
    [[ ! -f $folder/base.cpio.gz || $proof/guest/init -nt $folder/base.cpio.gz ]] || return 0
    rm -rf "$base"
    unpack "$1" "$base" busybox-static libc6 libgcc-s1
    # Character sets and documents nobody reads there.
    rm -rf "${base:?}"/usr/{share,lib/*/gconv}
    mkdir -p "$base"/{dev,proc,run,sys,tmp}
    install -m 755 "$proof/guest/init" "$base/init"
    pack "$base" "$folder/base.cpio.gz"
}

# make_payload ARCHITECTURE ROW_FOLDER PAYLOAD: the row's folder, the helpers of probes, the binary, what the row's `packages`
# hold, and its `programs`.
make_payload() {
    local binary file
    binary=$("build_$1")
    mkdir -p "$3/bin"
    cp -R "$2/." "$proof/guest/guest.sh" "$3/proof/"
    install -m 755 "$binary" "$3/bin/gatepost"
    add_packages "$1" "$3"
    for file in "${programs[@]}"; do
        build_program "$2/$file" "$3/bin/${file%.rs}"
    done
}

# Adds the files of the row's packages, which are unpacked once.
add_packages() {
    local folder
    [[ ${#packages[@]} != 0 ]] || return 0
    folder=$cache/$1/packages/$(IFS=+ && echo "${packages[*]}")
    if [[ ! -d $folder ]]; then
        rm -rf "$folder.part"
        unpack "$1" "$folder.part" "${packages[@]}"
        rm -rf "$folder.part/usr/share"
        mv "$folder.part" "$folder"
    fi
    cp -R "$folder/." "$2/"
}

# add_modules ARCHITECTURE ROW_FOLDER FOLDER MODULE...: the kernel modules with what they depend on, and their order of loading.
# A module may be the row's own, as a source in its folder.
add_modules() {
    local kernel row=$2 folder=$3 module kind file
    kernel=$(<"$cache/$1/kernel")
    mkdir -p "$folder"
    : >"$folder/order"
    for module in "${@:4}"; do
        if [[ $module == gpio-sim ]]; then
            file=$(build_gpio_sim "$kernel")
            add_module "$folder" "$file"
        elif [[ -f $row/$module.c ]]; then
            file=$(build_module "$kernel" "$row/$module.c")
            add_module "$folder" "$file"
        else
            # Lines of `insmod FILE`, dependencies first, or `builtin NAME`.
            modprobe -d "$cache/$1/linux" -S "$kernel" --show-depends "$module" | while read -r kind file _; do
                [[ $kind != insmod ]] || add_module "$folder" "$file"
            done
        fi
    done
}

# Adds a module, unpacked, and its name to the order of loading.
add_module() {
    local name
    name=$(basename "${2%.xz}")
    [[ ! -f $1/$name ]] || return 0
    case $2 in
        *.xz) xz -dc "$2" >"$1/$name" ;;
        *) cp "$2" "$1/$name" ;;
    esac
    echo "$name" >>"$1/order"
}

pack() {
    (cd "$1" && find . -print0 | cpio --null --create --format=newc --owner=0:0 --quiet | gzip -1) >"$2"
}
