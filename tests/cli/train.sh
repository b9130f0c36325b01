# Training as a person does it: a run and what it leaves, stopping and going on, clips that cannot
# be read, and flags that make no sense. The model is tiny, and learns nothing.
. tests/cli/lib.sh

set=$work/set
"$CLV_BUILD/tests/stage/stage" "$set" --clips 8 --size 48x36 --fps 6 \
    --actions "sit down,stand up,crouch,rise from a crouch" >/dev/null 2>"$work/err" ||
    fail stage "$(head -c 300 "$work/err")"
cut -f2 "$set/captions.tsv" | cat - "$set/synonyms.csv" >"$work/texts.txt"
"$CLAVERDB" model vocabulary "$work/texts.txt" -o "$work/bpe.txt" --size 560 >/dev/null 2>&1 ||
    fail vocabulary "no vocabulary"

# train NAME STATUS RUN FLAGS…: a tiny random model.
train() {
    name=$1 want=$2 run=$3
    shift 3
    expect "$name" "$want" "$CLAVERDB" train --init random --vocab "$work/bpe.txt" --image 16 \
        --patch 8 --width 16 --layers 2 --text-width 16 --text-layers 1 --embed 16 -T 4 \
        --batch 3 --warmup 1 -o "$work/$run" "$@"
}
# weights FILE: a digest of the tensors, without the header, which says when it was written.
weights() {
    header=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    tail -c "+$((header + 9))" "$1" | cksum
}
full="--data $set/labels.csv --classes $set/classes.csv --prompts $set/synonyms.csv --prompts
    $set/body.csv --hold-out 0.5"

# ---- a run ----

train run 0 run $full --epochs 2
out_has "the result is named" "^$work/run/model.safetensors$"
out_has "the run is summed up" '^trained 2 epochs \(4 steps\) in .*: loss [0-9.]+, top-1 [0-9.]+ %'
err_has "epochs are shown" '^epoch 2/2: loss [0-9.]+, top-1 [0-9.]+ %, top-5 100.0 %'
for file in model.safetensors best.safetensors last.safetensors log.jsonl report.html; do
    [ -s "$work/run/$file" ] && ok "$file" || fail "$file" "is missing"
done
cp "$work/run/log.jsonl" "$work/out"
json "the journal's lines" 'map(.type) | join(" ")' \
    "start step step epoch step step epoch"
json "the journal's steps" 'map(select(.type == "step") | .step) | join(" ")' "1 2 3 4"
json "every step has a loss" 'map(select(.type == "step" and (.loss | type) == "number")) | length' 4
json "classes and prompts" '.[0] | "\(.clips) \(.classes) \(.prompts) \(.validation_clips)"' "4 4 26 4"
cp "$work/run/report.html" "$work/out"
out_has "the report has curves" '<svg viewBox'
out_has "the report has a confusion matrix" '<table class="matrix">'
out_has "the report has pictures" 'src="data:image/jpeg;base64,'
out_lacks "the report loads nothing" '(src|href)="?(http|//|file)'
expect "the model can be looked at" 0 "$CLAVERDB" model info "$work/run/model.safetensors"

# ---- part of a schedule ----

train "stop early" 0 early $full --epochs 2 --stop-after 1
out_has "the part is summed up" '^trained 1 epoch'
[ -s "$work/early/model.safetensors" ] && ok "the part is a model" || fail "the part is a model" "no"
cp "$work/early/log.jsonl" "$work/out"
json "the part's lines" 'map(.type) | join(" ")' "start step step epoch"
train "do the rest" 0 early $full --epochs 2 --resume
same "the rest leads where the whole went" "$(weights "$work/early/model.safetensors")" \
    "$(weights "$work/run/model.safetensors")"

# ---- with several readers ----

train "three readers" 0 readers $full --epochs 2 --readers 3
same "readers change no weights" "$(weights "$work/readers/model.safetensors")" \
    "$(weights "$work/run/model.safetensors")"
train "readers and no cache" 0 uncached $full --epochs 2 --readers 2 --frame-cache 0
same "nor does the cache" "$(weights "$work/uncached/model.safetensors")" \
    "$(weights "$work/run/model.safetensors")"
train "too many readers" 2 none $full --readers 65

# ---- on several devices ----

# losses RUN: of the steps, in the journal.
losses() {
    jq -s '[.[] | select(.type == "step") | .loss]' "$work/$1/log.jsonl"
}
train "two devices" 0 two $full --epochs 2 --stop-after 1 --device cpu,cpu --threads 2
cp "$work/two/report.html" "$work/out"
out_has "the report names both" '(cpu, 1 thread.*; ){1}cpu, 1 thread'
train "the rest on one" 0 two $full --epochs 2 --resume --device cpu --threads 1
same "two devices train as one" "$(jq -n --argjson a "$(losses two)" --argjson b "$(losses run)" \
    '($a | length) == 4 and ([range(4) | ($a[.] - $b[.]) | fabs < 1e-3] | all)')" true
train "three devices for batches of three and one" 0 three $full --epochs 2 --device cpu,cpu,cpu \
    --clips-in-memory 1
same "three devices train as one" "$(jq -n --argjson a "$(losses three)" --argjson b "$(losses run)" \
    '($a | length) == 4 and ([range(4) | ($a[.] - $b[.]) | fabs < 1e-3] | all)')" true

# ---- the built-in model, further ----

expect "mini goes on" 0 "$CLAVERDB" train --init mini --data "$set/labels.csv" --epochs 1 --batch 4 \
    --warmup 0 -o "$work/further"
expect "further is a model" 0 "$CLAVERDB" model info "$work/further/model.safetensors"
out_has "further has mini's vocabulary" '^vocabulary +1024 tokens.*at hand'
out_has "further says where it began" '"started_from":"claver-mini"'

# ---- its card ----

# Text for people, which goes with the weights and changes nothing.
out_lacks "no card" '^card'
printf 'Trained on %s.\n\n  It is no model of \303\251l\303\251phants.\033\n \n' films >"$work/card.txt"
train "a run with a card" 0 carded $full --epochs 2 --card "$work/card.txt"
same "a card changes no weights" "$(weights "$work/run/model.safetensors")" \
    "$(weights "$work/carded/model.safetensors")"
for file in model best last; do
    expect "the card of $file" 0 "$CLAVERDB" model info "$work/carded/$file.safetensors"
    same "the card of $file is shown" "$(grep -A 2 '^card' "$work/out")" "$(printf \
        'card        Trained on films.\n            \n              It is no model of éléphants.\357\277\275')"
    same "the card of $file is no pair" "$(grep -c 'metadata    card' "$work/out")" 0
done
expect "the card as data" 0 "$CLAVERDB" model info --json "$work/carded/model.safetensors"
json "the card as data is whole" '.[0]|.card == .metadata.card and (.card|startswith("Trained on films.\n\n  It")) and (.card|endswith("phants.\u001b"))' true
# A finished run can be given another.
echo 'Another card.' >"$work/card.txt"
train "another card" 0 carded $full --epochs 2 --card "$work/card.txt" --resume
expect "the other card" 0 "$CLAVERDB" model info "$work/carded/model.safetensors"
out_has "the other card is shown" '^card        Another card\.$'
same "another card changes no weights" "$(weights "$work/run/model.safetensors")" \
    "$(weights "$work/carded/model.safetensors")"
# What is trained from it is another model, of which it is not true.
expect "trained on" 0 "$CLAVERDB" train --init "$work/carded/model.safetensors" $full --epochs 1 \
    --batch 3 -o "$work/onward"
expect "trained on looked at" 0 "$CLAVERDB" model info "$work/onward/model.safetensors"
out_lacks "no card of another model" '^card'

head -c 4000 /dev/zero | tr '\0' x >"$work/long.txt"
train "the longest card" 0 long $full --epochs 1 --card "$work/long.txt"
echo xy >>"$work/long.txt"
train "a card that is too long" 2 none $full --card "$work/long.txt"
err_has "a card that is too long says so" "long.txt' has 4003 bytes; a card has 1 to 4000"
: >"$work/empty.txt"
train "an empty card" 2 none $full --card "$work/empty.txt"
err_has "an empty card says so" "empty.txt' has 0 bytes"
printf 'a\377b' >"$work/bytes.txt"
train "a card of bytes" 2 none $full --card "$work/bytes.txt"
err_has "a card of bytes says so" "bytes.txt' is no text in UTF-8"
printf 'a\0b' >"$work/bytes.txt"
train "a card with a zero" 2 none $full --card "$work/bytes.txt"
err_has "a card with a zero says so" "bytes.txt' is no text"
train "no such card" 2 none $full --card "$work/none.txt"
err_has "no such card says so" "none.txt"

# ---- as data and programs ----

train "json" 0 json $full --epochs 2 --json --progress none
json "json lines" 'map(.type) | join(" ")' "epoch epoch summary"
json "json summary" '.[-1] | "\(.step) \(.steps) \(.interrupted) \(.skipped)"' "4 4 false 0"
same "the same run, the same weights" "$(weights "$work/run/model.safetensors")" \
    "$(weights "$work/json/model.safetensors")"
train "another seed" 0 seed $full --epochs 2 --seed 5
[ "$(weights "$work/run/model.safetensors")" != "$(weights "$work/seed/model.safetensors")" ] &&
    ok "another seed, other weights" || fail "another seed" "the weights are the same"
train "json progress" 0 progress $full --epochs 2 --progress json
cp "$work/err" "$work/out"
grep '"type":"progress"' "$work/err" >"$work/out"
json "progress says how far it is" '.[0].steps' 4

# ---- stopping and going on ----

train "not stopped" 0 whole $full --epochs 24
"$CLAVERDB" train --init random --vocab "$work/bpe.txt" --image 16 --patch 8 --width 16 --layers 2 \
    --text-width 16 --text-layers 1 --embed 16 -T 4 --batch 3 --warmup 1 -o "$work/parts" $full \
    --epochs 24 >"$work/out" 2>"$work/err" </dev/null &
pid=$!
tries=0
while [ "$(grep -c '"type":"step"' "$work/parts/log.jsonl" 2>/dev/null || :)" -lt 3 ] 2>/dev/null ||
    [ ! -e "$work/parts/log.jsonl" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 3000 ] && kill -0 "$pid" 2>/dev/null || break
    sleep 0.02
done
kill -INT "$pid" 2>/dev/null
wait "$pid"
same "interrupted" $? 130
err_has "says how to go on" "interrupted after step [0-9]+ of 48; the same command with --resume goes on from '$work/parts/last.safetensors'"
[ -e "$work/parts/report.html" ] && ok "there is a report meanwhile" || fail report "none"
train "not twice" 2 parts $full --epochs 24
err_has "an old run is not overwritten" "'$work/parts' holds a run already; --resume goes on with it"
train "other options" 2 parts $full --epochs 24 --resume --lr 0.5
err_has "what differs is named" 'was written with lr '
train "go on" 0 parts $full --epochs 24 --resume
same "as if never stopped" "$(weights "$work/parts/model.safetensors")" \
    "$(weights "$work/whole/model.safetensors")"
same "and the state to go on from" "$(weights "$work/parts/last.safetensors")" \
    "$(weights "$work/whole/last.safetensors")"
same "each step is in the journal once" \
    "$(grep '"type":"step"' "$work/parts/log.jsonl" | jq .step | sort -n | uniq | wc -l)" \
    "$(grep -c '"type":"step"' "$work/parts/log.jsonl")"
train "anew" 0 parts $full --epochs 1 --force
train "nothing to go on with" 2 nothing $full --resume
err_has "says so" "there is nothing to go on with: no '$work/nothing/last.safetensors'"

# ---- clips that cannot be read ----

sed "s#^clips/#$set/clips/#" "$set/labels.csv" >"$work/broken.csv"
head -c 100 "$set/$(sed -n '2s/,.*//p' "$set/labels.csv")" >"$work/cut.mp4"
printf 'gone.mp4,crouching,,\ncut.mp4,crouching,,\n' >>"$work/broken.csv"
broken="--data $work/broken.csv --classes $set/classes.csv"
train "some clips are broken" 3 broken $broken --epochs 2
err_has "a missing one is named" "left out: .*gone.mp4"
err_has "a corrupt one is named" "left out: .*cut.mp4"
out_has "they are counted" '; 2 clips left out'
same "they are named once" "$(grep -c 'left out: .*gone.mp4' "$work/err")" 1
cp "$work/broken/log.jsonl" "$work/out"
json "the journal names them" \
    'map(select(.type == "skipped") | .clip) | sort | join(" ")' "cut.mp4 gone.mp4"
cp "$work/broken/report.html" "$work/out"
out_has "so does the report" '<h2>2 clips left out</h2>'
printf 'path,label\ngone.mp4,x\naway.mp4,y\n' >"$work/all.csv"
train "all clips are broken" 2 all --data "$work/all.csv" --epochs 1
err_has "says so" 'none of 2 clips can be read'

# ---- sentences, weights, masks ----

train "sentences alone" 0 sentences --data "$set/captions.tsv" --captions "$set/captions.tsv" \
    --epochs 1 --validation "$set/captions.tsv"
out_has "recall is told" 'R@1 [0-9.]+ %'
train "sentences and classes" 0 both $full --captions "$set/captions.tsv" --epochs 1
train "no temporal branch" 0 none $full --mask none --epochs 1
expect "from weights" 0 "$CLAVERDB" train --init "$work/none/model.safetensors" $full --epochs 1 \
    --freeze-image --mask kmct -o "$work/from"
expect "the new branch is there" 0 "$CLAVERDB" model info "$work/from/model.safetensors" --json
json "with its mask" '.[0].mask // .[0].config.mask' KMCT
expect "from CLAVER weights" 0 "$CLAVERDB" train --init "$work/run/best.safetensors" \
    --data "$set/labels.csv" --classes "$set/classes.csv" --freeze-text --epochs 1 -o "$work/on"

# ---- what makes no sense ----

bad() {
    name=$1 pattern=$2
    shift 2
    expect "$name" 2 "$CLAVERDB" train "$@"
    err_has "$name: says so" "$pattern"
    same "$name: in one sentence" "$(wc -l <"$work/err")" 1
}
ready="--data $set/labels.csv --classes $set/classes.csv -o $work/new --init random"
bad "no data" 'with --data' --init random -o "$work/new"
bad "no init" 'with --init' --data "$set/labels.csv" -o "$work/new"
bad "no output" 'with -o' --data "$set/labels.csv" --init random
bad "no vocabulary" 'needs a vocabulary' $ready
bad "no such weights" "no-such-model" --data "$set/labels.csv" --init no-such-model -o "$work/new"
bad "no such list" 'nothere.csv' --data "$work/nothere.csv" --init random -o "$work/new"
bad "a share of all" 'not between 0 and 1' $ready --hold-out 1
bad "no share" "takes a share such as 0.1, or COLUMN=VALUE, not 'some'" $ready --hold-out some
bad "no such column" 'no column for the groups \(scene\)' $ready --hold-out scene=1
bad "two validations" 'exclude each other' $ready --hold-out 0.5 --validation "$set/labels.csv"
bad "no epochs" '--epochs takes values' $ready --epochs 0
bad "no such mask" '--mask takes one of' $ready --mask some
bad "a file for a folder" 'is a file; name a folder' --data "$set/labels.csv" --init random \
    -o "$set/labels.csv"
bad "patches do not fit" 'cannot be cut into patches of 7' $ready --vocab "$work/bpe.txt" --patch 7
sed 's/crouching/crouching down/' "$set/labels.csv" >"$set/other.csv"
bad "labels without class" "'crouching down' \(line 4\)" --data "$set/other.csv" \
    --classes "$set/classes.csv" --init random -o "$work/new"
printf 'id,name\n0,sit, then rise\n' >"$work/prompts.csv"
bad "broken prompts" "line 2 of '$work/prompts.csv' has 3 cells" $ready \
    --prompts "$work/prompts.csv"
[ ! -e "$work/new" ] && ok "nothing is left of it" || fail leftovers "$work/new is there"

finish
