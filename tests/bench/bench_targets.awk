# Which targets are met, as a table: the lines of bench_torch_cuda.py (first file) and ours. `arch`
# stands for the usual ones where it is not empty.
function row(what, name, got, least) {
    printf "| %s | %s | %s | %s | %s |\n", what, name, got == "" ? "" : sprintf(least < 1 ? "%.5f" : "%.2f", got),
        least, got == "" ? "not measured" : (got + 0 >= least ? "yes" : "no")
    asked++
    met += got != "" && got + 0 >= least
    missing += got == ""
}
{ name = value("case") " " value("precision") }
value("clips_per_s") == "" { next }
value("bench") == "torch" { speed[name] = value("clips_per_s"); next }
value("cosine") != "" { cosine[name] = value("cosine") }
name in speed { ratio[name] = value("clips_per_s") / speed[name] }
!precision || value("precision") == "bf16" { precision = value("precision") }
END {
    models = arch != "" ? arch " T8" : "vit-b-32 T8,vit-b-16 T8,vit-b-16 T32,vit-l-14 T8"
    trained = arch != "" ? arch " T8" : "vit-b-16 T8"
    count = split(models, list, ",")
    print "| target | case | measured | at least | met |"
    print "|---|---|---|---|---|"
    for (i = 1; i <= count; i++)
        row("cosine to the CPU in fp32", list[i], cosine["encode " list[i] " " precision], 0.9995)
    for (i = 1; i <= count; i++)
        row("encoding, times PyTorch's speed", list[i], ratio["encode " list[i] " " precision], 1)
    for (i = 1; i <= count; i++)
        row("temporal stack, times PyTorch's speed", list[i], ratio["temporal " list[i] " " precision], 1.3)
    row("training step, times PyTorch's speed", trained, ratio["train " trained " " precision], 1)
    printf "\n%d of %d targets met, %d not measured%s.\n", met, asked, missing,
        precision ? " (in " precision ")" : ""
}
