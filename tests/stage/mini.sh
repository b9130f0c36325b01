#!/bin/sh
# Trains claver-mini, the model that claverdb brings along, from nothing: `make mini`.
#
#     mini.sh DIRECTORY
#
# In DIRECTORY: films of the stage, the vocabulary of their sentences, and four runs, each going on
# from the best epoch of the one before:
#   frames  a plain CLIP on single frames, which cost an eighth of clips: what is seen
#   time    a temporal branch on frozen spatial blocks: what comes first
#   whole   everything together: what frames that were never asked about it do not show yet
#   harder  the same with the actions that were least told from their reverse seen twice as often
# The last one's model.safetensors, with its card, is core/model/claver-mini.safetensors. A run that
# is done is not done again; one that was stopped goes on. The same weights come out bit for bit
# where OpenBLAS multiplies with the same kernels (OPENBLAS_CORETYPE).
set -eu
cd "$(dirname "$0")/../.."
directory=$1
claverdb=${CLAVERDB:-build/claverdb}
stage=$(make -s print-build)/tests/stage/stage
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-1000}"

# SPLIT CLIPS SENTENCES
film() {
    [ -f "$directory/$1/.done" ] && return
    "$stage" "$directory/$1" --seed 1 --split "$1" --clips "$2" --sentences "$3" --size 56x56 --fps 5
    touch "$directory/$1/.done"
}
mkdir -p "$directory"
film train 43000 4
film validation 860 2
film test 1720 2
[ -f "$directory/vocabulary.txt" ] ||
    "$claverdb" model vocabulary "$directory/train/captions.tsv" --column sentence --size 1024 \
        -o "$directory/vocabulary.txt"

# NAME DATA FLAG...
train() {
    name=$1 data=$2
    shift 2
    [ -f "$directory/$name/model.safetensors" ] && return
    going=--force
    [ -f "$directory/$name/last.safetensors" ] && going=--resume
    "$claverdb" train --data "$directory/train/$data" --classes "$directory/train/classes.csv" \
        --prompts "$directory/train/synonyms.csv" --captions "$directory/train/captions.tsv" \
        --facts "$directory/train/clips.jsonl" --validation "$directory/validation/labels.csv" \
        --validation-captions "$directory/validation/captions.tsv" \
        --validation-facts "$directory/validation/clips.jsonl" --accumulate 1 --prompt-slots 1 \
        --smoothing 0 --mixup 0 --cutmix 0 --jitter 0 --grayscale 0 --no-crop --weight-decay 0.01 \
        --clip-norm 1 --seed 3047 --threads 1 --decode-threads 1 --frame-cache 8000 \
        --card tests/stage/mini.txt -o "$directory/$name" "$going" "$@"
}
train frames labels.csv --init random --vocab "$directory/vocabulary.txt" --mask none --frames 1 --image 48 \
    --patch 12 --width 96 --heads 3 --layers 4 --text-width 128 --text-layers 2 --embed 128 \
    --batch 64 --lr 7e-4 --warmup 1 --epochs 25
train time labels.csv --init "$directory/frames/best.safetensors" --mask kmt --frames 8 --temporal-layers 2 \
    --temporal-std 1.5 --temporal-factor 1 --freeze-image --batch 32 --lr 7e-4 --warmup 0.2 \
    --epochs 16 --stop-after 5
train whole labels.csv --init "$directory/time/best.safetensors" --temporal-factor 1 --batch 32 \
    --lr 3e-4 --warmup 0.1 --epochs 8 --stop-after 4

hard='raising both arms|lowering both arms|picking something up|putting something down'
hard="$hard|opening a chest|closing a chest|throwing a ball|catching a ball|putting on a hat"
hard="$hard|taking off a hat|turning a wheel clockwise|turning a wheel counter-clockwise"
hard="$hard|putting something into a box|taking something out of a box|a car driving forward"
hard="$hard|a car backing up|a ball rolling to the right|a ball rolling to the left"
hard="$hard|inflating a balloon|deflating a balloon"
awk -F, -v hard="^($hard)\$" '{print} $2 ~ hard {again = again $0 "\n"} END {printf "%s", again}' \
    "$directory/train/labels.csv" >"$directory/train/harder.csv"
train harder harder.csv --init "$directory/whole/best.safetensors" --temporal-factor 3 --batch 32 \
    --lr 3e-4 --warmup 0.1 --epochs 9 --caption-share 0.35
echo "$directory/harder/model.safetensors"
