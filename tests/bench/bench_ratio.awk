# Pairs the lines of bench_torch_cuda.py (first file) with ours: one line a case that both have, in
# clips a second, with the least ratio that is asked for.
FNR == 1 { file++ }
value("clips_per_s") == "" { next }
{ name = value("case") }
file == 1 && value("bench") == "torch" {
    speed[name] = value("clips_per_s")
    memory[name] = value("memory_peak_mib")
    precision[name] = value("precision")
    next
}
name in speed && value("precision") == precision[name] {
    target = name ~ /^temporal / ? 1.3 : 1.0
    ratio = value("clips_per_s") / speed[name]
    printf "{\"bench\":\"ratio\",\"case\":\"%s\",\"precision\":\"%s\",\"ours\":%.6g,\"torch\":%.6g,", name,
        value("precision"), value("clips_per_s"), speed[name]
    printf "\"ratio\":%.3f,\"target\":%.1f,\"met\":%s", ratio, target, (ratio >= target ? "true" : "false")
    if (value("memory_peak_mib") != "" && memory[name] != "")
        printf ",\"ours_mib\":%.0f,\"torch_mib\":%.0f", value("memory_peak_mib"), memory[name]
    print "}"
}
