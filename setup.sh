#!/bin/sh
# Sets claverdb up on Debian 12: installs what is missing, builds, and runs.
#   ./setup.sh deps    install the packages below
#   ./setup.sh build   deps, then the library and the program
#   ./setup.sh demo    build, then film a few clips, index, search and export them
#   ./setup.sh test    build, then every check and test, plain and under sanitizers
set -eu
cd "$(dirname "$0")"

# The one list of packages, one a line: what the build, the tests and the checks need.
PACKAGES='
gcc
g++
make
pkg-config
git
libavcodec-dev
libavfilter-dev
libavformat-dev
libavutil-dev
libswresample-dev
libswscale-dev
libsqlite3-dev
libfaiss-dev
libopenblas-openmp-dev
libsodium-dev
libjansson-dev
libcurl4-openssl-dev
libutf8proc-dev
zlib1g-dev
libzip-dev
clang
clang-format
ffmpeg
jq
groff-base
sqlite3
'

run_as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        echo "setup.sh: installing packages needs root or sudo" >&2
        exit 1
    fi
}

deps() {
    missing=
    for package in $PACKAGES; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
            missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null 2>&1 || {
        echo "setup.sh: this is no Debian system; install by hand:$missing" >&2
        exit 1
    }
    echo "setup.sh: installing$missing"
    run_as_root apt-get update -qq
    run_as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends $missing >/dev/null
}

jobs=$(nproc 2>/dev/null || echo 2)
build() {
    deps
    make -j"$jobs" all
}

run_tests() {
    build
    make format-check layers includes banned
    make -j"$jobs" headers
    results=$(mktemp -d)
    trap 'rm -rf "$results"' EXIT
    # Both suites always run, so that one failure does not hide another.
    status=0
    make -j"$jobs" test-build
    CLV_RESULTS="$results/plain" make test || status=1
    make -j"$jobs" SAN=address,undefined test-build
    CLV_RESULTS="$results/sanitized" make SAN=address,undefined test || status=1
    cat "$results"/plain "$results"/sanitized 2>/dev/null |
        awk '{p += $1; f += $2; s += $3} END {printf "%d passed, %d failed, %d skipped\n", p, f, s}'
    exit "$status"
}

case "${1:-}" in
deps) deps ;;
build) build ;;
demo)
    build
    shift
    exec build/claverdb demo "$@"
    ;;
test) run_tests ;;
*)
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
