# `eval`: closed sets, pairs, splits, retrieval: the arithmetic is done again from what it prints.
. tests/cli/lib.sh
stage=$CLV_BUILD/tests/stage/stage
set_dir=$work/set
"$stage" "$set_dir" --seed 5 --clips 12 --size 96x96 --sentences 2 --actions 'sit down,stand up,come closer,walk away' >"$work/out" 2>&1 ||
    fail stage "$(head -c 300 "$work/out")"
data="--data $set_dir/labels.csv --classes $set_dir/classes.csv"
evaluate() { "$CLAVERDB" eval --quiet "$@"; }
# same_number NAME FILTER: whether two numbers that jq makes of the last output agree to 1e-6.
same_number() { json "$1" "$2 | if ((.[0] - .[1]) | fabs) < 1e-6 then true else . end" true; }

# ---- closed set ----
printf 'a,b\nsitting down,standing up\n2,3\n' >"$work/pairs.csv"
same stage_pairs "$(cat "$set_dir/pairs.csv")" "$(printf 'action,reversal\nsitting down,standing up\ncoming closer,walking away')"
expect stage_pairs_read 0 evaluate $data --pairs "$set_dir/pairs.csv"
expect closed 0 evaluate $data --pairs "$work/pairs.csv" --json --scores
cp "$work/out" "$work/first"
json closed_clips '[.[] | select(.type == "clip")] | length' 12
json closed_sums '[.[] | select(.type == "clip") | .probabilities | add | (. - 1 | fabs) < 1e-5] | all' true
clips='[.[] | select(.type == "clip")]'
names='[.[] | select(.type == "class") | .name]'
# The rank by the probabilities: the classes that the label's does not beat.
json closed_ranks "$names as \$n | $clips | map(. as \$c | (\$n | index(\$c.label)) as \$t | .rank == ([range(\$n | length) | select(\$c.probabilities[.] >= \$c.probabilities[\$t])] | length)) | all" true
json closed_predicted "$names as \$n | $clips | map((.probabilities | max) == .probabilities[.predicted as \$p | \$n | index(\$p)]) | all" true
same_number closed_top1 "[.[-1].top1, ($clips | map(if .rank == 1 then 1 else 0 end) | add / length)]"
same_number closed_top5 "[.[-1].top5, ($clips | map(if .rank <= 5 then 1 else 0 end) | add / length)]"
same_number closed_mean "[.[-1].mean_class, ($clips | group_by(.label) | map(map(if .rank == 1 then 1 else 0 end) | add / length) | add / length)]"
json closed_confusion "$names as \$n | . as \$all | $clips as \$c | [.[] | select(.type == \"class\") | . as \$k | [range(\$n | length) | . as \$i | [\$c[] | select(.label == \$k.name and .predicted == \$n[\$i])] | length] == \$k.taken_for] | all" true
json closed_right '[.[] | select(.type == "class") | .clips] | add' 12
same_number pair_accuracy "$names as \$n | $clips as \$c | [.[-1].pair_accuracy, ([[0, 1], [1, 0], [2, 3], [3, 2]] | map(. as \$p | \$c[] | select(.label == \$n[\$p[0]]) | if .probabilities[\$p[0]] > .probabilities[\$p[1]] then 1 elif .probabilities[\$p[0]] == .probabilities[\$p[1]] then 0.5 else 0 end) | add / length)]"
json pair_lines '[.[] | select(.type == "pair") | .clips] | join(" ")' '6 6'
json closed_summary '.[-1] | [.clips, .unread, .classes, .prompts, .views, .measure] | map(tostring) | join(" ")' '12 0 4 16 1x1 classes'
expect closed_again 0 evaluate $data --pairs "$work/pairs.csv" --json --scores
same closed_is_deterministic "$(cat "$work/out")" "$(cat "$work/first")"
expect closed_readers 0 evaluate $data --pairs "$work/pairs.csv" --json --scores --readers 3
same readers_change_nothing "$(cat "$work/out")" "$(cat "$work/first")"
expect closed_text 0 evaluate $data --pairs "$work/pairs.csv"
out_has closed_text_model '^model +claver-mini$'
out_has closed_text_top1 '^top-1 +[0-9.]+ %'
out_has closed_text_class '^sitting down +3 '
out_has closed_text_pairs '^pairs +[0-9.]+ % of 12 told apart'
expect prompts 0 evaluate $data --prompts "$set_dir/body.csv" --prompts "$set_dir/synonyms.csv" --json
json prompts_count '.[-1].prompts' 26
json prompts_no_scores '[.[] | select(.type == "clip") | has("probabilities")] | any' false

expect views 0 evaluate $data --views 2x3 --seed 9 --json --scores
cp "$work/out" "$work/first"
json views_said '.[-1] | [.views, .seed] | map(tostring) | join(" ")' '2x3 9'
expect views_again 0 evaluate $data --views 2x3 --seed 9 --json --scores
same views_by_seed "$(cat "$work/out")" "$(cat "$work/first")"
expect views_readers 0 evaluate $data --views 2x3 --seed 9 --json --scores --readers 5
same readers_change_no_views "$(cat "$work/out")" "$(cat "$work/first")"
expect views_other 0 evaluate $data --views 2x3 --seed 10 --json --scores
if cmp -s "$work/out" "$work/first"; then fail views_other_seed "the same numbers"; else ok views_other_seed; fi

# ---- splits ----
awk -F, 'NR == 1 { print $0 ",who"; next } { print $0 ",p" int((NR - 2) / 4) }' "$set_dir/labels.csv" >"$set_dir/grouped.csv"
cd "$work" || exit 1
expect split 0 evaluate --data "$set_dir/grouped.csv" --group who --shots 1 --seed 3 --write-split train.csv,test.csv --json
json split_counts '.[0] | [.type, .training, .test, .neither] | map(tostring) | join(" ")' 'split 4 8 0'
same split_header "$(head -1 train.csv)" path,label,start,end,who
same split_apart "$(cat train.csv test.csv | grep -v ^path | cut -d, -f1 | sort -u | wc -l)" 12
same split_groups "$(for f in train test; do cut -d, -f5 $f.csv | grep -v who | sort -u; done | sort | uniq -d)" ''
expect split_again 0 evaluate --data "$set_dir/grouped.csv" --group who --shots 1 --seed 3 --write-split a.csv,b.csv
out_has split_says 'training +4 clips in a.csv'
same split_by_seed "$(cat a.csv b.csv)" "$(cat train.csv test.csv)"
expect split_whole 0 evaluate --data test.csv --labels "$set_dir/classes.csv" --json --scores
grep -v summary out >whole
expect shots_in_place 0 evaluate --data "$set_dir/grouped.csv" --labels "$set_dir/classes.csv" --group who --shots 1 --seed 3 --json --scores
same shots_is_the_split "$(grep '"class"' out)" "$(grep '"class"' whole)"
same shots_scores "$(jq -c 'select(.type == "clip") | .probabilities' out)" "$(jq -c 'select(.type == "clip") | .probabilities' whole)"
expect split_exists 2 evaluate --data test.csv --shots 1 --write-split a.csv,c.csv
err_has split_exists_says "'a.csv' exists already"
expect split_same 2 evaluate --data test.csv --shots 1 --write-split c.csv,c.csv
expect split_one 2 evaluate --data test.csv --shots 1 --write-split c.csv
err_has split_one_says 'needs two files'
expect split_no_shots 2 evaluate --data test.csv --write-split c.csv,d.csv
err_has split_no_shots_says 'needs --shots'
expect split_too_few 2 evaluate --data test.csv --shots 2 --write-split c.csv,d.csv
err_has split_too_few_says "none is left to test"

# ---- retrieval ----
captions=$set_dir/captions.tsv
expect captions 0 evaluate --captions "$captions" --json --scores
sentences='[.[] | select(.type == "sentence" and .right > 0)]'
same captions_all "$(jq -s "$sentences | length" out)" "$(tail -n +2 "$captions" | cut -f2 | sort -u | wc -l)"
for k in 1 5 10; do
    same_number captions_recall$k "[.[-1].recall$k, ($sentences | map(if .rank <= $k then 1 else 0 end) | add / length)]"
done
same_number captions_mean "[.[-1].mean_rank, ($sentences | map(.rank) | add / length)]"
same_number captions_median "[.[-1].median_rank, ($sentences | map(.rank) | sort | (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2)]"
same_number captions_map "[.[-1].mean_average_precision, ($sentences | map(.average_precision) | add / length)]"
json captions_one_right "$sentences | map(select(.right == 1) | (.average_precision - 1 / .rank | fabs) < 1e-6) | all" true
json captions_summary '.[-1] | [.measure, .candidates, .templates] | map(tostring) | join(" ")' 'captions 12 true'
expect plain 0 evaluate --captions "$captions" --plain
out_has plain_text_model '^model +claver-mini$'
out_has plain_text '^R@10 +[0-9.]+ %'
expect facts 0 evaluate --captions "$captions" --facts "$set_dir/clips.jsonl" --match action --json --scores
json facts_by_action "$sentences | map(.right) | unique | join(\" \")" 3
expect facts_all 0 evaluate --captions "$captions" --facts "$set_dir/clips.jsonl" --json --scores
json facts_fewer "$sentences | map(.right >= 1 and .right <= 3) | all" true

# ---- the database ----
export CLAVERDB_DB="$work/db"
expect index 0 "$CLAVERDB" index --quiet "$set_dir/clips" --length 1s --stride 500ms
segments=$("$CLAVERDB" status --json | jq -s '[.[].segments // empty] | max')
expect indexed 0 evaluate --captions "$captions" --indexed --json --scores
json indexed_candidates '.[-1] | [.measure, .candidates] | map(tostring) | join(" ")' "indexed $segments"
json indexed_many_right "$sentences | map(.right > 1) | all" true
same_number indexed_map "[.[-1].mean_average_precision, ($sentences | map(.average_precision) | add / length)]"
# The first of all segments is what search finds first.
jq -r 'select(.type == "sentence") | [.sentence, .rank] | @tsv' out | head -6 >ranks
agrees=0
while IFS="$(printf '\t')" read -r sentence rank; do
    found=$("$CLAVERDB" search --quiet --exact --json -n 1 "$sentence" </dev/null | jq -r 'select(.type == "moment") | .path')
    right=no
    awk -F'\t' -v s="$sentence" '$2 == s { print $1 }' "$captions" | grep -qxF "clips/${found##*/}" && right=yes
    if { [ "$rank" -eq 1 ] && [ $right = yes ]; } || { [ "$rank" -gt 1 ] && [ $right = no ]; }; then agrees=$((agrees + 1)); fi
done <ranks
same indexed_agrees_with_search "$agrees" 6
# A part of a file: only segments with their middle in it are right.
first=$(ls "$set_dir/clips" | head -1)
printf 'path,sentence,start,end\n%s,someone moves,0,1.2\n%s,someone moves on,1.2,2\n' "$first" "$first" >"$set_dir/clips/parts.csv"
expect parts 0 evaluate --captions "$set_dir/clips/parts.csv" --indexed --json --scores
want() { "$CLAVERDB" ls --segments --json "$set_dir/clips/$first" | jq -s "[.[] | select(.type == \"segment\") | (.start_ms + .end_ms) / 2 | select(. >= $1 and . < $2)] | length"; }
json parts_right '[.[] | select(.type == "sentence") | .right] | map(tostring) | join(" ")' "$(want 0 1200) $(want 1200 2000)"
printf 'path,sentence\n%s,here\nnowhere.mp4,there\n' "$first" >"$set_dir/clips/lost.csv"
expect lost 3 evaluate --captions "$set_dir/clips/lost.csv" --indexed --json
err_has lost_named "'nowhere.mp4' has no segment in the index"
json lost_counted '.[-1] | [.unread, .sentences, .sentences_without_answer] | map(tostring) | join(" ")' '1 1 1'
expect no_database 2 env CLAVERDB_DB="$work/none" "$CLAVERDB" eval --quiet --captions "$captions" --indexed
err_has no_database_says 'no database'

# ---- what cannot be read ----
{ cat "$set_dir/labels.csv"; printf 'clips/gone.mp4,sitting down,,\nbroken.mp4,standing up,,\n'; } >"$set_dir/some.csv"
printf 'no video' >"$set_dir/broken.mp4"
expect unread 3 evaluate --data "$set_dir/some.csv" --json
err_has unread_gone 'gone.mp4'
err_has unread_broken 'broken.mp4'
json unread_counted '.[-1] | [.clips, .unread] | map(tostring) | join(" ")' '14 2'
json unread_named '[.[] | select(.type == "unread") | .path] | join(" ")' 'clips/gone.mp4 broken.mp4'
json unread_left_out '[.[] | select(.type == "class") | .clips] | add' 12
printf 'path,label\ngone.mp4,x\n' >"$work/gone.csv"
expect none_read 2 evaluate --data "$work/gone.csv"
err_has none_read_says 'none of 1 clips'

# ---- wrong use ----
expect nothing 2 evaluate
err_has nothing_says 'needs --data'
expect both 2 evaluate --data test.csv --captions "$captions"
expect pairs_of_captions 2 evaluate --captions "$captions" --pairs "$work/pairs.csv"
err_has pairs_of_captions_says '--pairs belongs to --data'
expect indexed_data 2 evaluate --data test.csv --indexed
err_has indexed_data_says '--indexed belongs to --captions'
expect stray 2 evaluate --data test.csv "$set_dir/body.csv"
for views in 0x1 1x2 3 x 1x 1x1x1 -1x1 1025x1; do expect "views_$views" 2 evaluate --data test.csv --views=$views; done
err_has views_says '1x1 or 4x3'
: >"$work/empty.csv"
expect empty_data 2 evaluate --data "$work/empty.csv"
err_has empty_data_says 'empty.csv'
expect empty_captions 2 evaluate --captions "$work/empty.csv"
printf 'path,label\n' >"$work/header.csv"
expect header_only 2 evaluate --data "$work/header.csv"
err_has header_only_says 'lists no clip'
expect no_list 2 evaluate --data "$work/not-there.csv"
printf '0,9\n' >"$work/bad.csv"
expect bad_pairs 2 evaluate $data --pairs "$work/bad.csv"
err_has bad_pairs_says "'9' is no class"
expect bad_label 2 evaluate --data "$work/gone.csv" --labels "$set_dir/classes.csv"
err_has bad_label_says "'x'"
expect no_group 2 evaluate --data test.csv --group nobody
err_has no_group_says nobody
finish
