# The film-maker of training data as a program.
. tests/cli/lib.sh
stage=$CLV_BUILD/tests/stage/stage

expect list 0 "$stage" --list
out_has list_names '^sit down +sitting down +stand up$'
out_has list_names_unpaired '^wave +waving a hand *$'

set -- --seed 5 --split test --clips 3 --actions "sit down,stand up,wave" --size 96x64 --fps 12
expect films 0 "$stage" "$work/one" "$@"
expect films_again 0 "$stage" "$work/two" "$@"
expect films_of_other_seed 0 "$stage" "$work/three" "$@" --seed 6
for file in labels.csv classes.csv pairs.csv captions.tsv clips.jsonl action_decomposition.csv body.csv \
    synonyms.csv; do
    cmp -s "$work/one/$file" "$work/two/$file" && ok "same_$file" || fail "same_$file" "differs"
done
cmp -s "$work/one/captions.tsv" "$work/three/captions.tsv" && fail other_seed "is the same" ||
    ok other_seed
cp "$work/one/clips.jsonl" "$work/out"
json films_size 'map(select(.width == 96 and .height == 64 and .frame_rate == 12)) | length' 3
json films_split 'map(.split) | unique | join(",")' test
json films_actions 'map(.action) | join(",")' 'sitting down,standing up,waving a hand'
json pair_is_one_clip '[.[0].seed == .[1].seed, .[0].frames == .[1].frames, .[0].place == .[1].place]
    | all' true
same films_count "$(ls "$work/one/clips" | wc -l | tr -d ' ')" 3

expect sheet 0 "$stage" sheet "$work/sheet.jpg" --actions wave --size 32 --columns 2
[ -s "$work/sheet.jpg" ] && ok sheet_is_there || fail sheet_is_there "no file"

expect nowhere 2 "$stage"
err_has nowhere_says 'say where to'
for bad in '--split tests' '--clips 0' '--clips x' '--size 33x32' '--size 64x' '--actions swim' \
    '--actions ' '--seed 1x' '--fps 1000'; do
    expect "bad_$bad" 2 "$stage" "$work/none" "${bad%% *}" "${bad#* }"
    err_has "bad_${bad}_says" "stage: ${bad%% *} does not take '${bad#* }'"
done
expect unknown_option 2 "$stage" "$work/none" --frobnicate
err_has unknown_option_says "no option '--frobnicate'"
[ -e "$work/none" ] && fail nothing_written "$work/none is there" || ok nothing_written
expect unwritable 1 "$stage" /dev/null/set --clips 1 --size 32
err_has unwritable_says '/dev/null'
finish
