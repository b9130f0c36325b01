#!/bin/sh
# Runs every test of a build and adds the results up.
#   tests/run.sh BUILD [plain|sanitized [TEST…]]
# A test prints lines "ok NAME", "FAIL NAME…" or "SKIP NAME: reason". A program that ends in any
# other way than exit 0 or 1 after such lines, or that ran nothing, is a failure of its own.
# With CLV_RESULTS set, "PASSED FAILED SKIPPED" goes into that file.
set -u
build=$1
mode=${2:-plain}
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Without this the threads of tests that run beside others spin most of their time away.
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-1000}"
export CLAVERDB="$PWD/$build/claverdb" CLV_BUILD="$PWD/$build" CLV_TEST_MODE="$mode"
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}"
export LSAN_OPTIONS="${LSAN_OPTIONS:-suppressions=$PWD/tests/lsan.supp:print_suppressions=0}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"

run() {
    name=$1
    shift
    timeout "${CLV_TEST_TIMEOUT:-600}" "$@" >"$log" 2>&1 </dev/null
    status=$?
    oks=$(grep -c '^ok ' "$log")
    fails=$(grep -c '^FAIL ' "$log")
    skips=$(grep -c '^SKIP ' "$log")
    if [ "$status" -ne 0 ] && [ "$fails" -eq 0 ]; then
        echo "FAIL $name: exit status $status" >>"$log"
        fails=1
    elif [ $((oks + fails + skips)) -eq 0 ]; then
        echo "FAIL $name: ran no test" >>"$log"
        fails=1
    fi
    passed=$((passed + oks)) failed=$((failed + fails)) skipped=$((skipped + skips))
    grep '^SKIP ' "$log"
    if [ "$fails" -gt 0 ]; then
        cat "$log"
        echo "---- $name: $oks passed, $fails FAILED, $skips skipped"
    else
        echo "$name: $oks passed, $skips skipped"
    fi
}

if [ $# -gt 2 ]; then
    shift 2
    for test in "$@"; do
        case $test in
        *.sh) run "$test" sh "$test" ;;
        *) run "$test" "$build/$test" ;;
        esac
    done
    set -- none
else
    set --
fi

[ $# -gt 0 ] || for source in tests/unit/test_*.c tests/ops/test_*.c tests/model/test_*.c tests/fault/test_*.c; do
    [ -e "$source" ] || continue
    run "${source%.c}" "$build/${source%.c}"
done
[ $# -gt 0 ] || for source in tests/fuzz/fuzz_*.c; do
    [ -e "$source" ] || continue
    name=${source#tests/fuzz/fuzz_}
    run "${source%.c}" "$build/${source%.c}" "tests/fuzz/corpus/${name%.c}"
done
[ $# -gt 0 ] || for script in tests/cli/*.sh; do
    case $script in tests/cli/lib.sh | 'tests/cli/*.sh') continue ;; esac
    run "$script" sh "$script"
done

[ -z "${CLV_RESULTS:-}" ] || echo "$passed $failed $skipped" >"$CLV_RESULTS"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
