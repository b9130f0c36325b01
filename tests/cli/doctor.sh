# Devices: what doctor says of them, and what --device and --precision take.
. tests/cli/lib.sh
unset CLAVERDB_DEVICE

expect doctor 0 "$CLAVERDB" doctor
out_has doctor_has_the_cpu '^cpu +cpu, [0-9]+ thread'
out_has doctor_has_cuda_or_the_reason '^cuda(:0)? +(NVIDIA|unavailable: .)'
out_has doctor_has_decoding_or_the_reason '^decoder +(on cuda:0: h264|cpu: the GPU does not decode video here: .)'
expect doctor_json 0 "$CLAVERDB" doctor --json
same doctor_json_devices "$(jq -r 'select(.device == "cpu") | .type, .serves' "$work/out" | tr '\n' ' ')" 'device true '
same doctor_json_says_why "$(jq -r 'if .serves then .description else .reason end | length > 0' "$work/out" | sort -u)" true

for device in gpu cuda: cuda:x cuda:12345 cudax; do
    expect "bad_device_$device" 2 "$CLAVERDB" version --device "$device"
    err_has "bad_device_${device}_said" "--device takes auto, cpu, cuda or cuda:N, not '$device'"
done
for device in auto,cpu cpu,auto cuda:0,x cpu,; do
    expect "bad_devices_$device" 2 "$CLAVERDB" version --device "$device"
    err_has "bad_devices_${device}_said" "--device takes auto, .*, not '$device'; train takes several"
done
expect two_kinds 2 "$CLAVERDB" version --device cpu,cuda:0
err_has two_kinds_said "--device names devices of different kinds: 'cpu,cuda:0'"
expect twice 2 "$CLAVERDB" version --device cuda:1,0,1
err_has twice_said '--device names cuda:1 twice'
expect several 2 "$CLAVERDB" version --device cpu,cpu
err_has several_said '--device names 2 devices: only training computes on several'
expect device_cpu 0 "$CLAVERDB" version --device cpu
out_has device_cpu_is_used '^cpu, '
expect bad_precision 2 "$CLAVERDB" version --precision fp16
expect precision_of_the_cpu 0 "$CLAVERDB" version --device cpu --precision bf16
err_has precision_of_the_cpu_said 'the CPU computes in fp32'

# Without a CUDA device that serves the reason is the same wherever one is asked for.
if "$CLAVERDB" doctor | grep -Eq '^cuda(:0)? +unavailable: '; then
    reason=$("$CLAVERDB" doctor | sed -nE 's/^cuda(:0)? +unavailable: //p')
    expect no_cuda 2 "$CLAVERDB" version --device cuda
    err_has no_cuda_said "$reason"
    expect auto_is_the_cpu 0 "$CLAVERDB" version --device auto
    out_has auto_is_the_cpu_said '^cpu, '
else
    expect cuda 0 "$CLAVERDB" version --device cuda:0
    out_has cuda_said '^cuda:0, '
    make_clips
    for precision in fp32 tf32 bf16; do
        db="$work/$precision"
        expect "index_$precision" 0 "$CLAVERDB" index --quiet --db "$db" --device cuda --precision $precision "$clips"
        expect "search_$precision" 0 "$CLAVERDB" search --quiet --json --db "$db" 'a person opens a door'
        jq -rs '.[0].path // .[0].video // ""' "$work/out" >"$work/first_$precision"
        expect "search_on_cuda_$precision" 0 "$CLAVERDB" search --quiet --json --db "$db" --device cuda --precision $precision 'a stone falls'
    done
    for model in ../shared/golden/*.expect.safetensors; do
        [ -e "$model" ] || continue
        name=$(basename "$model" .expect.safetensors)
        expect "golden_$name" 0 "$CLAVERDB" model compare --device cuda "${model%.expect.safetensors}.safetensors" "$model"
        expect "golden_gradients_$name" 0 "$CLAVERDB" model compare --device cuda --train "${model%.expect.safetensors}.safetensors" "$model"
        out_has "golden_gradients_${name}_are_compared" '[0-9][0-9]+ tensors compared, 6 not; .*, within'
    done
    expect index_cpu 0 "$CLAVERDB" index --quiet --db "$work/cpu" --device cpu "$clips"
    expect search_cpu 0 "$CLAVERDB" search --quiet --json --db "$work/cpu" 'a person opens a door'
    same cuda_finds_what_the_cpu_finds "$(cat "$work/first_fp32")" "$(jq -rs '.[0].path // .[0].video // ""' "$work/out")"
fi

# What decodes: what is found is the same, and asking for what is not there loses nothing.
make_clips
mkdir -p "$work/in"
cp "$clips/door-opens-a.mp4" "$clips/stone-falls-a.mp4" "$work/in/"
printf 'path,label,start,end\ndoor-opens-a.mp4,a,,\nstone-falls-a.mp4,b,,\nstone-falls-a.mp4,b,0.5,1.5\n' >"$work/in/labels.csv"
# evaluate NAME STATUS DECODER / train NAME STATUS DECODER: on the CPU, of clips decoded by it.
evaluate() {
    expect "$1" "$2" "$CLAVERDB" eval --quiet --json --scores --device cpu --data "$work/in/labels.csv" --decoder "$3"
}
train() {
    expect "$1" "$2" "$CLAVERDB" train --quiet --init mini --device cpu --data "$work/in/labels.csv" \
        --epochs 1 --batch 3 --warmup 0 --validation "$work/in/labels.csv" -o "$work/run_$3" --decoder "$3"
}
# trained DECODER: what came of it, without when.
trained() { jq -c 'select(.type == "step") | [.loss, .gradient_norm]' "$work/run_$1/log.jsonl"; }
found() { "$CLAVERDB" search --quiet --json --db "$work/$1" 'a stone falls' | jq -c 'select(.type == "moment") | [.path, .start_ms, .score]'; }
expect decoder_cpu 0 "$CLAVERDB" index --quiet --db "$work/by_cpu" --device cpu --decoder cpu "$work/in"
expect decoder_auto 0 "$CLAVERDB" index --quiet --db "$work/by_auto" --device cpu --decoder auto "$work/in"
same decoder_finds_both "$(found by_cpu | wc -l)" 2
same decoder_auto_is_the_same "$(found by_auto)" "$(found by_cpu)"
expect decoder_bad 2 "$CLAVERDB" index --db "$work/by_cpu" --decoder cuda "$work/in"
evaluate decoder_eval_cpu 0 cpu && cp "$work/out" "$work/scores"
evaluate decoder_eval_auto 0 auto
same decoder_eval_auto_is_the_same "$(cat "$work/out")" "$(cat "$work/scores")"
train decoder_train_cpu 0 cpu
train decoder_train_auto 0 auto
same decoder_train_auto_is_the_same "$(trained auto)" "$(trained cpu)"
for command in eval train; do
    expect "decoder_bad_$command" 2 "$CLAVERDB" $command --data "$work/in/labels.csv" --decoder cuda
    err_has "decoder_bad_${command}_said" '--decoder takes one of'
done
if "$CLAVERDB" doctor | grep -q '^decoder  *on cuda:0'; then
    expect decoder_gpu 0 "$CLAVERDB" index --quiet --db "$work/by_gpu" --device cpu --decoder gpu "$work/in"
    same decoder_gpu_is_the_same "$(found by_gpu)" "$(found by_cpu)"
    evaluate decoder_eval_gpu 0 gpu
    same decoder_eval_gpu_is_the_same "$(cat "$work/out")" "$(cat "$work/scores")"
    train decoder_train_gpu 0 gpu
    same decoder_train_gpu_is_the_same "$(trained gpu)" "$(trained cpu)"
else
    expect decoder_gpu 2 "$CLAVERDB" index --quiet --force --db "$work/by_cpu" --device cpu --decoder gpu "$work/in"
    err_has decoder_gpu_said '^claverdb: the GPU does not decode video here: .'
    same decoder_gpu_says_one_line "$(wc -l <"$work/err")" 1
    same decoder_gpu_loses_nothing "$(found by_cpu)" "$(found by_auto)"
    for command in evaluate train; do
        $command "decoder_${command}_gpu" 2 gpu
        err_has "decoder_${command}_gpu_said" '^claverdb: the GPU does not decode video here: .'
        same "decoder_${command}_gpu_says_one_line" "$(wc -l <"$work/err")" 1
    done
    [ ! -e "$work/run_gpu" ] && ok decoder_train_gpu_leaves_nothing || fail decoder_train_gpu_leaves_nothing "there is a run"
fi
finish
