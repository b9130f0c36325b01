# What a key stands for in a JSON line: text, number, or nothing.
function value(key,    text) {
    if (!match($0, "\"" key "\": *(\"[^\"]*\"|[-+.0-9eE]+)"))
        return ""
    text = substr($0, RSTART, RLENGTH)
    sub("^\"" key "\": *", "", text)
    gsub("\"", "", text)
    return text
}
