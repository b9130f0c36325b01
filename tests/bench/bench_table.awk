# The tables of RESULTS.md out of the lines of bench_torch_cuda.py (first file) and ours.
function percent(key) { return value(key) == "" ? "" : sprintf("%.1f %%", 100 * value(key)) }
function number(key, format) { return value(key) == "" ? "" : sprintf(format, value(key)) }
function gib(mib) { return mib == "" ? "" : sprintf("%.2f GiB", mib / 1024) }
function peer(name,    text) {
    if (!(name in speed))
        return "| | | "
    text = sprintf("%.1f (batch %d, %s, %s)", speed[name], batch[name], attention[name], compiled[name])
    return sprintf("| %s | %.2f | %s ", text, value("clips_per_s") / speed[name], gib(memory[name]))
}
FNR == 1 { file++ }
{ name = value("case"); which = value("bench") }
file == 1 && which == "torch" {
    if (value("clips_per_s") != "") {
        speed[name] = value("clips_per_s")
        batch[name] = value("batch")
        attention[name] = value("attention")
        compiled[name] = value("compile")
        memory[name] = value("memory_peak_mib")
        precision[name] = value("precision")
    } else
        product = sprintf("PyTorch %s multiplies at %.1f TFLOP/s (%s).", value("torch"), value("gflops") / 1000, name)
    next
}
which == "encode" || which == "train" {
    if (value("clips_per_s") == "")
        next
    if (!device)
        device = value("device")
    key = value("precision")
    if (!(key in peaks)) {
        order[++precisions] = key
        peaks[key] = sprintf("%.1f TFLOP/s", value("peak_gflops") / 1000)
    }
    if (value("peak_gbytes_per_s") != "")
        copies = sprintf("%.0f GB/s", value("peak_gbytes_per_s"))
    models[++count] = sprintf("| %s | %s | %d | %.1f | %s | %s | %s | %s %s|", name, key, value("batch"),
        value("clips_per_s"), percent("share_of_peak"), percent("share_of_bandwidth"), number("cosine", "%.5f"),
        gib(value("memory_peak_mib")), precision[name] == key ? peer(name) : "| | | ")
}
which == "train" && value("devices") != "" {
    shared[++groups] = sprintf("| %s | %s | %d | %.1f | %.2f | %s | %.0f MiB in %.2f ms |", name,
        value("precision"), value("batch"), value("clips_per_s"), value("times_one"), value("sums"),
        value("gradient_mib"), 1000 * value("sum_seconds"))
}
which == "kernels" {
    kernels[++ops] = sprintf("| %s | %s | %.1f | %s | %s | %s | %s |", name, value("precision"),
        1e6 * value("seconds_median"), number("gflop", "%.2f"), number("gbyte", "%.3f"), value("bound_by"),
        percent("share_of_limit"))
}
END {
    print "Device: " device ". " product
    printf "Measured limits: copies %s; products", copies
    for (i = 1; i <= precisions; i++)
        printf "%s %s %s", (i > 1 ? "," : ""), order[i], peaks[order[i]]
    print ".\n"
    print "| case | precision | batch | clips/s | of the products' peak | of the bandwidth | cosine to fp32 | memory |" \
        " PyTorch, clips/s | ratio | its memory |"
    print "|---|---|---|---|---|---|---|---|---|---|---|"
    for (i = 1; i <= count; i++)
        print models[i]
    if (groups) {
        print "\n| case | precision | batch | clips/s | times one device | sums through | sum of all gradients |"
        print "|---|---|---|---|---|---|---|"
    }
    for (i = 1; i <= groups; i++)
        print shared[i]
    print "\n| op | precision | µs | GFLOP | GB | bound by | share of the limit |"
    print "|---|---|---|---|---|---|---|"
    for (i = 1; i <= ops; i++)
        print kernels[i]
}
