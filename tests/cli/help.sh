# Help, man page, completion and version: every flag is in each of them.
. tests/cli/lib.sh

commands='index search export ls status check rebuild forget train eval demo doctor help version'
expect help_program 0 "$CLAVERDB" help
for command in $commands 'model info' 'model compare' 'model list' 'model pull' 'model verify' 'model vocabulary'; do out_has "help_lists_$command" "^  $command "; done
for flag in db model vocab threads device precision json quiet verbose color progress help version; do
    out_has "help_lists_--$flag" "--$flag"
done

# flags_of COMMAND FLAGS: what must be in the command's help, its man page and its completion.
"$CLAVERDB" help --man >"$work/man"
for shell in bash zsh fish; do "$CLAVERDB" help --completion $shell >"$work/$shell"; done
flags_of() {
    expect "help_$1" 0 "$CLAVERDB" help $1
    cp "$work/out" "$work/help"
    expect "dash_help_$1" 0 "$CLAVERDB" $1 --help
    same "help_is_dash_help_$1" "$(cat "$work/out")" "$(cat "$work/help")"
    expect "dash_h_$1" 0 "$CLAVERDB" -h $1
    same "dash_h_is_help_$1" "$(cat "$work/out")" "$(cat "$work/help")"
    missing=
    for flag in $2 --db --model --vocab --threads --device --precision --json --quiet --verbose --color --progress --help --version; do
        grep -qE -- "(^| )$flag( |$)" "$work/help" || missing="$missing help:$flag"
        dashed=$(printf %s "$flag" | sed 's/-/\\\\-/g')
        grep -qF -- "$(printf %s "$flag" | sed 's/-/\\-/g')" "$work/man" || missing="$missing man:$flag"
        grep -qE -- "[ ']$flag[ '\"[]" "$work/bash" || missing="$missing bash:$flag"
        grep -qF -- "'$flag[" "$work/zsh" || missing="$missing zsh:$flag"
        grep -qE -- "-l ${flag#--} " "$work/fish" || missing="$missing fish:$flag"
    done
    same "flags_of_$1" "$missing" ""
}
flags_of index '--length --stride --cut-score --no-cuts --force --retry-failed --prune --dry-run --readers --decode-threads --decoder'
flags_of search '--count --in --min-score --from --to --like --like-weight --exact'
flags_of export '--last --output --copy --pad --no-audio --overwrite --no-clips --quality'
flags_of ls '--failed --missing --segments --vectors'
flags_of status ''
flags_of check ''
flags_of rebuild ''
flags_of forget ''
flags_of train '--data --classes --labels --captions --facts --validation --hold-out --init --output --resume --force --epochs --batch --accumulate --lr --temporal-factor --warmup --weight-decay --clip-norm --prompt-slots --smoothing --mixup --cutmix --no-crop --flip --jitter --grayscale --drop-path --caption-share --freeze-text --freeze-image --checkpointing --clips-in-memory --validate-every --save-every --seed --readers --decode-threads --decoder --frames --mask --temporal-start --temporal-layers --image --patch --width --layers --text-width --text-layers --embed --embedding-std --temporal-std --text-std'
cp "$work/zsh" "$work/out"
out_has "a flag that is given several times" "'[*]--prompts\\["
flags_of eval '--data --classes --labels --pairs --views --shots --group --write-split --seed --captions --facts --match --indexed --plain --scores --frames --readers --decoder'
flags_of 'model info' ''
flags_of 'model compare' '--tolerance'
flags_of 'model list' '--catalogue'
flags_of 'model pull' '--from --sha256 --mirror --catalogue --force --keep'
flags_of 'model verify' '--key'
flags_of 'model vocabulary' '--output --size --column --force'
flags_of demo '--clips-only'
flags_of help '--man --completion'
flags_of version ''

expect help_family 0 "$CLAVERDB" help model
out_has help_family_both 'claverdb model compare'
expect help_unknown 2 "$CLAVERDB" help nothing
err_has help_unknown_says "there is no command 'nothing'"
expect nothing_at_all 2 "$CLAVERDB"
err_has nothing_at_all_helps '^usage: claverdb'
same nothing_at_all_stdout "$(cat "$work/out")" ""

# No line of help is wider than a terminal, and none has colours in a pipe.
for command in '' $commands 'model info' 'model compare' 'model list' 'model pull' 'model verify' 'model vocabulary'; do "$CLAVERDB" help $command; done >"$work/all"
same help_width "$(awk 'length($0) > 81' "$work/all")" ""
same help_plain "$(grep -c "$(printf '\033')" "$work/all")" 0
"$CLAVERDB" help --color always >"$work/all"
grep -q "$(printf '\033')" "$work/all" && ok help_colors || fail help_colors 'no escape sequence'

bash -n "$work/bash" && ok bash_completion_parses || fail bash_completion_parses 'bash -n fails'
# What bash offers: commands, a command's flags, choices.
offer() {
    bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _claverdb; echo "${COMPREPLY[*]}"' \
        - "$work/bash" "$@" 2>/dev/null
}
same bash_offers_commands "$(offer claverdb ex)" export
same bash_offers_family "$(offer claverdb model co)" compare
same bash_offers_flags "$(offer claverdb index --retr)" --retry-failed
same bash_offers_global_flags "$(offer claverdb ls --thr)" --threads
same bash_offers_choices "$(offer claverdb ls --color al)" always
if command -v groff >/dev/null 2>&1; then
    groff -man -Tutf8 -ww "$work/man" >/dev/null 2>"$work/err"
    same man_page_is_clean "$(cat "$work/err")" ""
else
    skip man_page_is_clean 'groff is not installed'
fi

expect version 0 "$CLAVERDB" --version
out_has version_number '^claverdb [0-9]+\.[0-9]+\.[0-9]+$'
for library in libavformat libsodium libcurl jansson openblas SQLite FAISS; do out_has "version_names_$library" "$library"; done
cp "$work/out" "$work/version"
expect version_command 0 "$CLAVERDB" version
same version_same "$(cat "$work/out")" "$(cat "$work/version")"
expect version_json 0 "$CLAVERDB" version --json
json version_json_type '.[0].type' version
finish
