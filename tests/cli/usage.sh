# What is wrong with a command line is said in one sentence, with exit status 2 and nothing on
# stdout.
. tests/cli/lib.sh
export CLAVERDB_DB="$work/none"

# usage NAME PATTERN ARGUMENT…
usage() {
    name=$1 pattern=$2
    shift 2
    expect "$name" 2 "$CLAVERDB" "$@"
    err_has "${name}_says" "^claverdb: $pattern"
    same "${name}_one_line" "$(wc -l <"$work/err" | tr -d ' ')" 1
    same "${name}_no_output" "$(cat "$work/out")" ""
}
usage unknown_command "there is no command 'serch'; did you mean 'search'\?" serch
usage unknown_far_command "there is no command 'frobnicate'; 'claverdb help'" frobnicate
usage unknown_flag "unknown flag '--jsn'; did you mean --json\?" status --jsn
usage unknown_flag_of_command "unknown flag '--strid'; did you mean --stride\?" index --strid 2 x
usage unknown_far_flag "unknown flag '--frobnicate'$" status --frobnicate
usage unknown_letter "unknown flag '-x'" status -x
usage unknown_bundled "unknown flag '-x'" status -qx
usage flag_of_other_command "unknown flag '--length'" search --length 2 x
usage missing_value '--length needs a value \(TIME\)' index --length
usage missing_value_before_flag '--db needs a value \(DIR\)' status --db --json
usage missing_letter_value '-n needs a value \(N\)' search x -n
usage empty_value '--db needs a DIR, not an empty text' status --db=
usage bad_integer "--threads needs a whole number, not '2x'" status --threads 2x
usage bad_integer_range '--threads takes values from 0 to 1024' status --threads 5000
usage bad_huge_integer '--threads needs a whole number' status --threads 99999999999999999999
usage bad_number "--min-score needs a number, not 'high'" search --min-score high x
usage bad_nan "--min-score needs a number, not 'nan'" search --min-score nan x
usage bad_time "--length needs a time such as" index --length soon x
usage bad_time_range '--length takes times from' index --length 0.01 x
usage bad_enum "--color takes one of auto\|always\|never, not 'red'" status --color red
usage bool_value "--json is on or off \(1 or 0\), not 'maybe'" status --json=maybe
usage no_form_value "--no-json takes no value, but got '1'" status --no-json=1
usage few_operands "'index' needs more operands" index
usage many_operands "'search' does not take 'door'; quote a text" search open door
usage many_operands_none "'status' does not take 'x'" status x
usage half_command "'model' needs a second word" model
usage wrong_second "there is no command 'model inf'; did you mean 'model info'\?" model inf x
usage no_query 'search needs a text, or --like' search
usage from_after_to '--to lies before --from' search x --from 5 --to 4
usage last_and_ids '--last and moment ids' export --last 3
usage copy_and_quality '--quality means nothing with --copy' export --copy --quality 20
usage vectors_alone '--vectors belongs to --segments' ls --vectors

# Each flag has its variable, which the command line overrides, and a --no- form.
CLAVERDB_COLOR=red usage bad_variable "CLAVERDB_COLOR takes one of auto" status
CLAVERDB_MIN_SCORE=x usage bad_variable_of_command 'CLAVERDB_MIN_SCORE needs a number' search a
CLAVERDB_MIN_SCORE=x expect variable_of_other_command 0 "$CLAVERDB" help search
CLAVERDB_JSON=1 expect variable_counts 0 "$CLAVERDB" version
json variable_counts_json '.[0].type' version
CLAVERDB_JSON=1 expect no_form_wins 0 "$CLAVERDB" version --no-json
out_has no_form_wins_text '^claverdb [0-9]'
CLAVERDB_JSON=1 expect value_form_wins 0 "$CLAVERDB" version --json=0
out_has value_form_wins_text '^claverdb [0-9]'
CLAVERDB_JSON= expect empty_variable_is_unset 0 "$CLAVERDB" version
out_has empty_variable_text '^claverdb [0-9]'
expect last_one_wins 0 "$CLAVERDB" version --json --no-json
out_has last_one_wins_text '^claverdb [0-9]'
CLAVERDB_COLOR=always expect no_form_restores 0 "$CLAVERDB" help --no-color
out_lacks no_form_restores_plain "$(printf '\033')"

# Flags and operands mix; values attach in each of four ways; "--" ends the flags.
for form in '--db X' '--db=X'; do
    expect "form_$form" 2 "$CLAVERDB" status $form
    err_has "form_${form}_read" "no database at 'X'"
done
expect flag_before_command 2 "$CLAVERDB" --db X status
err_has flag_before_command_read "no database at 'X'"
expect operand_before_flag 2 "$CLAVERDB" search 'a door' -n3 --db X
err_has operand_before_flag_read "no database at 'X'"
expect dashes_end_flags 2 "$CLAVERDB" search --db X -- --json
err_has dashes_end_flags_read "no database at 'X'"
expect negative_value 2 "$CLAVERDB" search --db X --min-score -0.5 a
err_has negative_value_read "no database at 'X'"

# No database: each command that reads one says so, and makes none.
for command in 'search x' 'export' 'ls' 'status' 'check' 'rebuild' 'forget x'; do
    expect "no_database_$command" 2 "$CLAVERDB" $command
    err_has "no_database_${command}_says" "no database at '$work/none'; run claverdb index first"
done
[ ! -e "$work/none" ] && ok none_was_made || fail none_was_made "$work/none exists"
HOME= XDG_DATA_HOME= expect no_home 2 env -u CLAVERDB_DB -u HOME -u XDG_DATA_HOME "$CLAVERDB" status
err_has no_home_says 'name the database with --db'
finish
