#!/bin/sh
# Every benchmark of the CUDA backend in one run, beside PyTorch on the same machine.
#   tests/bench/bench_cuda.sh BUILD [OUT]      what `make bench-cuda` runs; OUT is BUILD/bench-cuda
# Prints lines as they come and at the end which targets are met. OUT then has them in ours.jsonl,
# torch.jsonl and ratio.jsonl, and the tables of tests/bench/RESULTS.md in table.md. Where Python has
# no PyTorch with CUDA it says so and measures our side alone. In the environment:
#   CLV_BENCH_PYTHON    a Python that has PyTorch 2 [python3]
#   CLV_BENCH_QUICK     not empty: fewer batches, our side in bf16 alone
#   CLV_BENCH_PARTS     of: encode train torch one kernels index decode [all of them]
#   CLV_BENCH_MINUTES   begin nothing after so many minutes; the next run of the same commit, settings
#                       and OUT goes on, and the exit status is 3 until all is measured
#   CLV_BENCH_DEVICE    cuda [cuda]; cpu, with CLV_BENCH_ARCH=tiny, tries this script out
#   CLV_BENCH_ARCH      this architecture alone, with 8 frames
set -u
build=${1:?usage: bench_cuda.sh BUILD [OUT]}
out=${2:-$build/bench-cuda}
here=$(dirname "$0")
python=${CLV_BENCH_PYTHON:-python3}
arch=${CLV_BENCH_ARCH:-}
quick=${CLV_BENCH_QUICK:-}
minutes=${CLV_BENCH_MINUTES:-}
wanted=${CLV_BENCH_PARTS:-encode train torch one kernels index decode}
export CLV_BENCH_DEVICE="${CLV_BENCH_DEVICE:-cuda}"
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-1000}"
status=0 number=0 left='' begun=$(date +%s)

for part in $wanted; do
    case $part in
    encode | train | torch | one | kernels | index | decode) ;;
    *) echo "CLV_BENCH_PARTS has no '$part'" >&2; exit 2 ;;
    esac
done
wants() { case " $wanted " in *" $1 "*) ;; *) return 1 ;; esac; }

# Says why where there is none.
[ "$CLV_BENCH_DEVICE" != cuda ] || "$build/claverdb" version --device cuda >/dev/null || exit 2

# What was measured stays only where the same would be measured again.
mkdir -p "$out" || exit 2
settings="$(git log -1 --format='commit %h' 2>/dev/null) $CLV_BENCH_DEVICE arch=$arch quick=$quick"
if [ -z "$minutes" ] || [ "$(cat "$out/settings" 2>/dev/null)" != "$settings" ]; then
    rm -rf "$out/parts" "$out/settings" "$out"/*.jsonl "$out/table.md"
fi
mkdir -p "$out/parts" || exit 2
echo "$settings" >"$out/settings"

# The machine, as far as its own tools say.
{
    "$build/claverdb" doctor
    command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,power.limit --format=csv
    echo "$settings"
} >"$out/machine.txt" 2>&1
cat "$out/machine.txt"

seconds_left() { [ -z "$minutes" ] && echo 1000000 || echo $((begun + 60 * minutes - $(date +%s))); }

# ours PART NAME PROGRAM [ARGUMENT…]: measures it, unless it has been. What is there already when it
# fails, or is stopped, counts until it is measured again.
ours() {
    part=$1 name=$2 program=$3
    number=$((number + 1))
    file="$out/parts/$(printf %02d $number)-$name"
    shift 3
    wants "$part" || return 0
    [ -e "$file.done" ] && return 0
    if [ "$(seconds_left)" -le 0 ]; then
        left="$left $name"
        return 0
    fi
    { "$build/tests/bench/$program" "$@" && : >"$file.done"; } | tee "$file.jsonl"
    [ -e "$file.done" ] || { echo "$name failed" >&2; status=1; }
}

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

torch() {
    wants torch || return 0
    [ -e "$out/parts/torch.done" ] && return 0
    if ! "$python" -c "import torch, sys
sys.exit(0 if '$CLV_BENCH_DEVICE' == 'cpu' or torch.cuda.is_available() else 1)" 2>/dev/null; then
        echo "$python has no PyTorch with $CLV_BENCH_DEVICE: nothing to compare with, our side alone" >&2
    elif ! same kmt || ! same kmct; then
        echo "PyTorch's model and ours do not compute the same (see $out/compare.txt): not compared" >&2
        status=1
    elif [ "$(seconds_left)" -le 0 ]; then
        left="$left torch"
    else
        {
            "$python" "$here/bench_torch_cuda.py" --device "$CLV_BENCH_DEVICE" ${quick:+--quick} \
                ${arch:+--arch "$arch"} --known "$out/parts/torch.runs" --within "$(seconds_left)"
            echo $? >"$out/parts/torch.status"
        } | tee "$out/parts/torch.lines"
        case $(cat "$out/parts/torch.status") in
        0) : >"$out/parts/torch.done" ;;
        3) left="$left torch" ;;
        *) echo 'bench_torch_cuda.py failed' >&2; status=1 ;;
        esac
    fi
}

sweep=--sweep kernels='b-16 l-14'
subjects='vit-b-32:8 vit-b-16:8 vit-b-16:32 vit-l-14:8' single=vit-b-16:8 trained=vit-b-16
if [ -n "$arch" ]; then
    sweep=--sweep=8 kernels=$arch subjects=$arch:8 single=$arch:8 trained=$arch
fi
for precision in bf16 $([ -n "$quick" ] || echo tf32 fp32); do
    export CLV_BENCH_PRECISION="$precision"
    for subject in $subjects; do
        ours encode "encode-${subject%:*}-${subject#*:}-$precision" bench_encode $sweep --cosine "$subject"
    done
    ours train "train-$precision" bench_train $sweep --devices "$trained"
    [ "$precision" = bf16 ] && torch # what is asked for first: the rest has no target
    ours one "one-$precision" bench_encode "$single"
    export CLV_BENCH_REPLAY=0 # what the graphs save
    ours one "one-called-$precision" bench_encode "$single"
    unset CLV_BENCH_REPLAY
    for shape in $kernels; do
        ours kernels "kernels-$shape-$precision" bench_kernels "$shape"
    done
    ours index "index-$precision" bench_index --arch "$trained" --readers 0,1,4
done
unset CLV_BENCH_PRECISION
ours decode decode bench_decode

: >"$out/ours.jsonl"
for file in "$out/parts"/*.jsonl; do
    [ -e "$file" ] && cat "$file" >>"$out/ours.jsonl"
done
cat "$out/parts/torch.lines" >"$out/torch.jsonl" 2>/dev/null
pair() { script=$1; shift; awk "$@" -f "$here/bench_value.awk" -f "$here/$script" "$out/torch.jsonl" "$out/ours.jsonl"; }
pair bench_ratio.awk | tee "$out/ratio.jsonl"
pair bench_targets.awk -v arch="$arch" | tee "$out/table.md"
{ echo; pair bench_table.awk; } >>"$out/table.md"
echo "tables: $out/table.md" >&2
if [ -n "$left" ]; then
    echo "not measured within $minutes minutes, for the next run:$left" >&2
    [ "$status" -ne 0 ] || status=3
fi
exit "$status"
