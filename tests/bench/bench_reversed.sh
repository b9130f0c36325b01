#!/bin/sh
# Which temporal branches tell an action from its reverse: the same plain CLIP (trained on single
# frames: the first half of `make mini`) with no temporal branch, joint attention, KMT or KMCT, each
# trained on the same films for the same number of clips. 2048 films of people, places and phrasings
# never trained on decide, the first 512 of them for R@1. One JSON line a case and seed.
#
#     bench_reversed.sh CLIP.safetensors [SEED]...      default: seed 1
#
# Everything is trained, and every flag but --mask is the same.
# CLV_BENCH_EPOCHS (6) and CLV_BENCH_DIR (a scratch directory) may be set.
set -eu
cd "$(dirname "$0")/../.."
clip=$1
shift
[ $# -gt 0 ] || set -- 1
claverdb=${CLAVERDB:-build/claverdb}
stage=$(make -s print-build)/tests/stage/stage
directory=${CLV_BENCH_DIR:-$(mktemp -d)}
epochs=${CLV_BENCH_EPOCHS:-6}
actions="sit down,stand up,lie down,get out of bed,come closer,walk away,enter,leave"
actions="$actions,raise both arms,lower both arms,pick up,put down,open a door,close a door"
actions="$actions,throw a ball,catch a ball"
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-1000}"

# SPLIT SEED CLIPS
film() {
    [ -f "$directory/$1/labels.csv" ] ||
        "$stage" "$directory/$1" --seed "$2" --split "$1" --clips "$3" --actions "$actions" \
            --size 56x56 --fps 5 >&2
}
film train 7 24000
film test 9 2048
head -n 1025 "$directory/test/captions.tsv" >"$directory/test/first.tsv"

# MASK SEED
measure() {
    mask=$1 seed=$2
    run=$directory/$mask-$seed
    "$claverdb" train --data "$directory/train/labels.csv" --classes "$directory/train/classes.csv" \
        --captions "$directory/train/captions.tsv" --facts "$directory/train/clips.jsonl" \
        --init "$clip" --mask "$mask" --frames 8 --temporal-layers 2 --temporal-std 1.5 \
        --temporal-factor 3 --caption-share 0.2 --batch 32 --accumulate 1 --prompt-slots 1 --smoothing 0 --mixup 0 \
        --cutmix 0 --jitter 0 --grayscale 0 --no-crop --warmup 0.2 --weight-decay 0.01 \
        --clip-norm 1 --lr 4e-4 --frame-cache 6000 --epochs "$epochs" --threads 1 --decode-threads 1 \
        --seed "$seed" -o "$run" --force --progress none >&2
    model=$run/model.safetensors
    classes=$("$claverdb" eval --model "$model" --data "$directory/test/labels.csv" --threads 1 \
        --classes "$directory/test/classes.csv" --pairs "$directory/test/pairs.csv" --json)
    captions=$("$claverdb" eval --model "$model" --captions "$directory/test/first.tsv" --plain \
        --facts "$directory/test/clips.jsonl" --match action,actor,place --threads 1 --json)
    printf '%s\n%s\n' "$classes" "$captions" | jq -cs --arg case "$mask" --argjson seed "$seed" \
        --slurpfile log "$run/log.jsonl" '
        map(select(.type == "summary")) as $s | {bench: "reversed", case: $case, seed: $seed,
        clips: $s[0].pair_clips, top1: $s[0].top1, recall1: $s[1].recall1,
        reversed_pairs: $s[0].pair_accuracy,
        worst_pair: ([.[] | select(.type == "pair") | .accuracy] | min),
        loss: $log[-1].loss, clips_per_s: $log[-1].clips_per_s}'
}

for seed in "$@"; do
    for mask in none joint kmt kmct; do
        [ "${CLV_BENCH_ONLY:-$mask}" != "$mask" ] || measure "$mask" "$seed"
    done
done
