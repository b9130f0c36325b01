#!/bin/sh
# Real people: UT-Interaction, set 1 (60 clips, 6 classes, 10 sequences), fine-tuned from
# claver-mini and from random weights of the same shape, leaving one sequence out in turn. A JSON
# line a fold, then one a start with mean and standard deviation, then the zero-shot figure.
#
#     bench_interaction.sh FOOTAGE      FOOTAGE/labels.csv has the columns file, label, sequence
set -eu
cd "$(dirname "$0")/../.."
footage=$(realpath "$1")
claverdb=${CLAVERDB:-build/claverdb}
directory=${CLV_BENCH_DIR:-$(mktemp -d)}
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-1000}"

# Made small once: decoding is not what is measured.
mkdir -p "$directory/clips"
cp "$footage/labels.csv" "$directory/clips/labels.csv"
tail -n +2 "$footage/labels.csv" | cut -d, -f1 | while read -r file; do
    [ -f "$directory/clips/$file" ] ||
        ffmpeg -v error -nostdin -i "$footage/$file" -an -vf scale=-2:96 -c:v mpeg4 -q:v 3 -f avi \
            "$directory/clips/$file"
done
# A vocabulary that knows the words of the classes, for the random start.
for repeat in 1 2 3 4; do
    tail -n +2 "$footage/labels.csv" | cut -d, -f2 | sed 's/.*/a video of people, two people &/'
done >"$directory/texts.txt"
"$claverdb" model vocabulary "$directory/texts.txt" --size 600 -o "$directory/words.txt" --force >&2

# START SEQUENCE FLAG...
fold() {
    start=$1 sequence=$2
    shift 2
    run=$directory/$start-$sequence
    "$claverdb" train --data "$directory/clips/labels.csv" --hold-out "sequence=$sequence" \
        --batch 9 --accumulate 1 --epochs 120 --warmup 4 --prompt-slots 1 --smoothing 0.1 \
        --mixup 0 --cutmix 0 --jitter 0.5 --grayscale 0 --temporal-factor 1 --weight-decay 0.05 \
        --clip-norm 1 --frame-cache 1024 --validate-every 120 --threads 1 --decode-threads 1 \
        --seed "$sequence" -o "$run" --force --progress none "$@" >&2
    jq -cs --arg start "$start" --argjson sequence "$sequence" \
        '{bench: "interaction", start: $start, sequence: $sequence} +
         (map(select(.type == "epoch")) | last | {loss, top1, clips: .validation_clips})' \
        "$run/log.jsonl" | tee -a "$directory/folds.jsonl"
}
: >"$directory/folds.jsonl"
for sequence in 1 2 3 4 5 6 7 8 9 10; do
    fold mini "$sequence" --init "${CLV_BENCH_MODEL:-mini}" --lr 3e-4
    fold random "$sequence" --init random --vocab "$directory/words.txt" --mask kmt --frames 8 \
        --image 48 --patch 12 --width 96 --heads 3 --layers 4 --temporal-layers 2 \
        --text-width 128 --text-layers 2 --embed 128 --lr 4e-4
done
jq -cs 'group_by(.start)[] | (map(.top1) | add / length) as $mean | {bench: "interaction",
    start: .[0].start, folds: length, top1: $mean,
    deviation: (map(pow(.top1 - $mean; 2)) | add / (length - 1) | sqrt)}' "$directory/folds.jsonl"
"$claverdb" eval --data "$directory/clips/labels.csv" --model "${CLV_BENCH_MODEL:-mini}" \
    --threads 1 --json | jq -c 'select(.type == "summary") | {bench: "interaction",
    start: "zero-shot", top1, top5, clips}'
