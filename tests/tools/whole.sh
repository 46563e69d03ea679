#!/usr/bin/env bash
# Runs the whole-process tests. What was red or stuck beside all others is run once more, one after the other, and told:
# hundreds of real servers on a small machine starve each other, and one such test must neither hide what the rest says nor
# pass unseen. Red alone is red; so is everything when more than a handful was.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Seconds in which no test ends before what still runs is taken for stuck. Tests wait for one thing for two minutes at most.
stuck=300
# How many may be run again.
few=5

# May be several words.
read -ra cargo <<<"${CARGO:-cargo}"
"${cargo[@]}" test --locked --no-run --test it
log="$(mktemp)"
pid=
# A group of their own does not hear what the terminal or a time limit tells this script.
trap '[ -z "$pid" ] || kill -TERM -- "-$pid" 2>/dev/null || true; rm -f "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs the tests with these arguments of the test harness, in a process group of their own.
run() {
    local shown code=0
    : >"$log"
    set -m
    "${cargo[@]}" test --locked --test it -- "$@" >"$log" 2>&1 &
    pid=$!
    set +m
    tail -n +1 -f -s 1 --pid="$pid" "$log" &
    shown=$!
    while kill -0 "$pid" 2>/dev/null; do
        sleep 1
        if (($(date +%s) - $(stat -c %Y "$log") > stuck)); then
            echo "no test has ended in $stuck s: the rest is stuck" >&2
            kill -TERM -- "-$pid"
            sleep 5
            kill -KILL -- "-$pid" 2>/dev/null || true
            break
        fi
    done
    wait "$pid" || code=$?
    pid=
    wait "$shown"
    return "$code"
}

run && exit 0

"${cargo[@]}" test --locked --quiet --test it -- --list 2>/dev/null | sed -n 's/: test$//p' | sort >"$log.all"
sed -n 's/^test \(.*\) \.\.\. \(ok\|ignored.*\)$/\1/p' "$log" | sort >"$log.green"
mapfile -t again < <(comm -23 "$log.all" "$log.green")
rm "$log.all" "$log.green"
if ((${#again[@]} == 0 || ${#again[@]} > few)); then
    echo "${#again[@]} tests were red or stuck; run again are $few at most" >&2
    exit 1
fi
echo "run again, alone:" "${again[@]}" >&2
run --exact --test-threads=1 "${again[@]}" || exit 1
echo "UNSTEADY, red or stuck beside the others and green alone:" "${again[@]}" >&2
