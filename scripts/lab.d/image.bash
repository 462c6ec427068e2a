# shellcheck shell=bash disable=SC2154 # set by scripts/lab
# Sourced by scripts/lab: where the guest image is, and how it gets there.

# Sets $image, the directory of the finished image, after building it if need be.
need_image() {
    local recipe building
    recipe=$(cd "$parts" && find image guest -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
    image=$cache/image-${recipe:0:12}
    [ -d "$image" ] && return
    mkdir -p "$cache"
    exec 8>"$cache/image.lock"
    flock --nonblock 8 || { say "another lab is building the image, waiting"; flock 8; }
    if [ ! -d "$image" ]; then
        rm -rf --one-file-system -- "$cache"/building-* # of a build that was cut off: only we hold the lock
        building=$(mktemp -d "$cache/building-XXXXXX")
        as_image_root "$parts/image" "$building" >&2
        mv "$building" "$image"
    fi
    exec 8>&-
}

# Building needs a root user, but one in a user namespace will do. With processes and mounts in
# namespaces too, a build that is cut off leaves none behind; while one lives, it holds the lock.
as_image_root() {
    local root_user=(--map-root-user --map-auto)
    [ "$UID" != 0 ] || root_user=()
    unshare "${root_user[@]}" --mount --pid --fork --kill-child "$@"
}
