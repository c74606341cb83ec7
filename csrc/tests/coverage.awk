# Joins the reports of `gcov --stdout`: a line is covered if any program ran it. An inline function
# of a header is reported once for each file that includes it.
BEGIN { FS = ":" }
{ count = $1; line = $2 + 0; gsub(/[ *]/, "", count) }
line == 0 && $3 == "Source" { file = $4; sub(/.*\//, "", file); ours = $4 ~ /^\.\.\/fw_[^\/]*$/; next }
!ours || line == 0 || count == "-" { next }
{
    key = file ":" line
    if (!(key in text)) { lines[file]++; text[key] = $0; sub(/^[^:]*:[^:]*:/, "", text[key]) }
    if (count !~ /^[#=]/ && !(key in ran)) { ran[key] = 1; covered[file]++ }
}
END {
    for (file in lines) {
        total += lines[file]; hit += covered[file]
        printf "%-16s %4d of %4d lines\n", file, covered[file], lines[file]
    }
    sorted = "sort -t: -k2,2 -k3,3n"
    for (key in text) if (!(key in ran)) printf "never run: %s:%s\n", key, text[key] | sorted
    close(sorted)
    if (total == 0) print "no coverage data"
    exit total == 0 || hit < total
}
