# Every odd and broken file ends as indexed, or as a listed failure with a true reason.
. tests/cli/lib.sh
odd=../shared/odd
[ -d "$odd" ] || { skip odd "no $odd"; finish; }
limit=300
[ "${CLV_TEST_MODE:-plain}" = plain ] || limit=550
export CLAVERDB_DB="$work/db"
# Named one by one, so that those are read too whose name is no video's.
set --
for file in "$odd"/*; do
    case $file in *.tsv | *.md | *.txt) ;; *) set -- "$@" "$file" ;; esac
done
files=$#
expect index 3 timeout "$limit" "$CLAVERDB" index --json --length 2s "$@"
jq -r 'select(.type=="file")|[(.path|sub(".*/";"")),.status,(.detail//"")]|@tsv' "$work/out" |
    sort >"$work/ended"
same each_ends_once "$(cut -f1 "$work/ended" | sort -u | wc -l) $(wc -l <"$work/ended")" "$files $files"
same indexed_or_failed "$(cut -f2 "$work/ended" | sort -u | tr '\n' ' ')" 'failed indexed '
# A reason names its file and says something beside.
awk -F '\t' '$2 == "failed" && (index($3, $1) == 0 || length($3) < length($1) + 12)' "$work/ended" >"$work/dumb"
same reasons "$(head -n 3 "$work/dumb")" ''

# What another program saw of them. (One file is said to be unopenable for its sound alone.)
ended() { awk -F '\t' -v name="$1" '$1 == name { print $2 ": " $3 }' "$work/ended"; }
wrong=0 no_video=0
tab=$(printf '\t')
cut -f1,5 "$odd/files.tsv" | tail -n +2 >"$work/observed"
while IFS="$tab" read -r name observed; do
    case $name,$observed in
    *blockgroup_block_ends_beyond*) want='indexed' ;;
    *no-video*) want='failed: .*has no video stream' no_video=$((no_video + 1)) ;;
    *unopenable* | *decode-fails*) want='failed: ' ;;
    *no-duration*) want='(indexed|failed: .*its video stream is empty)' ;;
    *) want='indexed' ;;
    esac
    ended "$name" | grep -qE "^$want" || {
        fail "observed_$name" "'$(ended "$name")', want /$want/ ($observed)"
        wrong=$((wrong + 1))
    }
done <"$work/observed"
[ "$wrong" -eq 0 ] && [ "$no_video" -gt 10 ] && ok "as_observed ($files files)"

# The catalog says the same, is sound, and is not read again.
expect failed_are_kept 0 "$CLAVERDB" ls --failed --json
same failed_are_all "$(jq -r '.path|sub(".*/";"")' "$work/out" | sort | sha256sum)" \
    "$(awk -F '\t' '$2 == "failed" { print $1 }' "$work/ended" | sort | sha256sum)"
expect segments 0 "$CLAVERDB" ls --segments --json
json each_has_extent '[.[]|select(.end_ticks <= .start_ticks)]|length' 0
expect check 0 "$CLAVERDB" check
expect again 3 timeout 20 "$CLAVERDB" index --json "$@" --length 2s
json again_reads_nothing '.[-1]|"\(.indexed) \(.unchanged + .failed)"' "0 $files"
finish
