#!/bin/sh
# Every benchmark of the CUDA backend in one run, beside PyTorch on the same machine.
#   tests/bench/bench_cuda.sh BUILD [OUT]      what `make bench-cuda` runs; OUT is BUILD/bench-cuda
# Writes OUT/ours.jsonl, torch.jsonl and ratio.jsonl, which it prints as they come, and OUT/table.md,
# the tables of tests/bench/RESULTS.md. Where Python has no PyTorch with CUDA it says so and measures
# our side alone. In the environment:
#   CLV_BENCH_PYTHON    a Python that has PyTorch 2 [python3]
#   CLV_BENCH_QUICK     not empty: fewer batches, our side in bf16 alone
#   CLV_BENCH_DEVICE    cuda [cuda]; cpu, with CLV_BENCH_ARCH=tiny, tries this script out
#   CLV_BENCH_ARCH      this architecture alone, with 8 frames
set -u
build=${1:?usage: bench_cuda.sh BUILD [OUT]}
out=${2:-$build/bench-cuda}
here=$(dirname "$0")
python=${CLV_BENCH_PYTHON:-python3}
arch=${CLV_BENCH_ARCH:-}
quick=${CLV_BENCH_QUICK:-}
export CLV_BENCH_DEVICE="${CLV_BENCH_DEVICE:-cuda}"
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-1000}"
mkdir -p "$out" || exit 2
rm -f "$out"/*.jsonl "$out/table.md"
status=0

# The machine, as far as its own tools say.
{
    "$build/claverdb" doctor
    command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,power.limit --format=csv
    git log -1 --format='commit %h' 2>/dev/null
} >"$out/machine.txt" 2>&1
cat "$out/machine.txt"

ours() {
    "$build/tests/bench/$@" >"$out/part" || { echo "$1 failed at $CLV_BENCH_PRECISION" >&2; status=1; }
    tee -a "$out/ours.jsonl" <"$out/part"
    rm -f "$out/part"
}

sweep=--sweep kernels='b-16 l-14'
subjects='vit-b-32:8 vit-b-16:8 vit-b-16:32 vit-l-14:8' single=vit-b-16:8 trained=vit-b-16
if [ -n "$arch" ]; then
    sweep=--sweep=8 kernels=$arch subjects=$arch:8 single=$arch:8 trained=$arch
fi
for precision in bf16 $([ -n "$quick" ] || echo tf32 fp32); do
    export CLV_BENCH_PRECISION="$precision"
    # shellcheck disable=SC2086 # lists of words
    ours bench_encode $sweep --cosine $subjects
    ours bench_encode "$single"
    export CLV_BENCH_REPLAY=0 # what the graphs save
    ours bench_encode "$single"
    unset CLV_BENCH_REPLAY
    ours bench_train $sweep "$trained"
    # shellcheck disable=SC2086
    ours bench_kernels $kernels
    ours bench_index --arch "$trained" --readers 0,1,4
done
ours bench_decode
unset CLV_BENCH_PRECISION

# PyTorch counts only where it computes the same: model and gradients in double precision, against
# ours in fp32.
same() {
    model=$out/$1.safetensors expect=$out/$1.expect.safetensors
    "$build/tests/tools/make_model" "$model" --arch tiny --frames 8 --mask "$1" &&
        "$python" "$here/claver_torch.py" "$model" "$expect" &&
        "$build/claverdb" model compare --device "$CLV_BENCH_DEVICE" "$model" "$expect" >"$out/compare.txt" &&
        "$build/claverdb" model compare --device "$CLV_BENCH_DEVICE" --train "$model" "$expect" >>"$out/compare.txt"
    result=$?
    [ "$result" -eq 0 ] && rm -f "$model" "$expect"
    return "$result"
}

: >"$out/torch.jsonl"
if ! "$python" -c "import torch, sys
sys.exit(0 if '$CLV_BENCH_DEVICE' == 'cpu' or torch.cuda.is_available() else 1)" 2>/dev/null; then
    echo "$python has no PyTorch with $CLV_BENCH_DEVICE: nothing to compare with, our side alone" >&2
elif ! same kmt || ! same kmct; then
    echo "PyTorch's model and ours do not compute the same (see $out/compare.txt): not compared" >&2
    status=1
else
    "$python" "$here/bench_torch_cuda.py" --device "$CLV_BENCH_DEVICE" ${quick:+--quick} ${arch:+--arch "$arch"} \
        >"$out/part" || { echo 'bench_torch_cuda.py failed' >&2; status=1; }
    tee -a "$out/torch.jsonl" <"$out/part"
    rm -f "$out/part"
fi

awk -f "$here/bench_value.awk" -f "$here/bench_ratio.awk" "$out/torch.jsonl" "$out/ours.jsonl" | tee "$out/ratio.jsonl"
awk -f "$here/bench_value.awk" -f "$here/bench_table.awk" "$out/torch.jsonl" "$out/ours.jsonl" >"$out/table.md"
echo "tables: $out/table.md" >&2
exit "$status"
