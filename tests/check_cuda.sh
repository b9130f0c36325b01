#!/bin/sh
# compute-sanitizer over tests of a build: each tool over each test, whatever was found before.
#   tests/check_cuda.sh BUILD 'TOOL…' TEST…      what `make check-cuda` runs
# COMPUTE_SANITIZER in the environment names the program, and may add flags.
set -u
build=$1 tools=$2
shift 2
sanitizer=${COMPUTE_SANITIZER:-compute-sanitizer}
found='' count=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
command -v "${sanitizer%% *}" >/dev/null || { echo "there is no ${sanitizer%% *}: it comes with CUDA" >&2; exit 2; }
export CLV_REQUIRE_CUDA=1 CLV_ONLY_CUDA=1 CLV_BUILD="$PWD/$build" GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-1000}"
for tool in $tools; do
    flags="--tool $tool --error-exitcode 9 --require-cuda-init no"
    # Tests ask for what the runtime refuses, and look at its errors themselves.
    [ "$tool" = memcheck ] && flags="$flags --report-api-errors no"
    for test in "$@"; do
        # shellcheck disable=SC2086 # lists of words
        timeout "${CLV_TEST_TIMEOUT:-1800}" $sanitizer $flags "$build/$test" >"$log" 2>&1 </dev/null
        status=$?
        count=$((count + 1))
        oks=$(grep -c '^ok ' "$log")
        if [ "$status" -eq 0 ] && [ "$oks" -gt 0 ]; then
            echo "$tool $test: $oks passed, nothing found"
        else
            grep -v '^ok ' "$log"
            echo "---- $tool $test: exit status $status, $oks passed"
            found="$found $tool:$test"
        fi
    done
done
[ -z "$found" ] && echo "$count runs, nothing found" && exit 0
echo "$count runs, of which these found something:$found"
exit 1
