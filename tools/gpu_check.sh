#!/usr/bin/env bash
# Everything to check and measure on a machine with an NVIDIA GPU, in less than 9 minutes.
#
#     tools/gpu_check.sh [FOLDER]
#
# FOLDER holds wheels of what this machine's Python lacks; they are unpacked to a temporary folder
# without any network. Large ones may be in parts: `split -b 60M A.whl A.whl.part-`. Measurements and
# logs go to $OUT, else to the current folder. PYTHON names the interpreter, else python3.
# Exits with 1 if a step failed; those after it are made nevertheless.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
out=$(mkdir -p "${OUT:-.}" && cd "${OUT:-.}" && pwd)
python=${PYTHON:-python3}
failed=()
errors=$(mktemp)
trap 'rm -rf "$errors" "${work:-}"' EXIT
: > "$out/errors.log"

# step SECONDS NAME COMMAND...: what it prints goes to $out/NAME too, errors to errors.log.
step() {
    local seconds=$1 name=$2 status=0 start=$SECONDS
    shift 2
    echo "== $name: $* (at most $seconds s)"
    timeout --kill-after=5 "$seconds" "$@" 2> "$errors" | tee "$out/$name" || status=$?
    sed "s|^|$name: |" "$errors" | tee -a "$out/errors.log" >&2
    case $status in
        0) ;;
        124 | 137) echo "== $name: stopped after $seconds s" >&2 && failed+=("$name") ;;
        *) echo "== $name: failed with status $status" >&2 && failed+=("$name") ;;
    esac
    echo "== $name: $((SECONDS - start)) s"
}

export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
if [ $# -gt 0 ]; then
    [ -d "$1" ] || { echo "$0: $1 is not a folder of wheels" >&2; exit 2; }
    work=$(mktemp -d)
    mkdir "$work/wheels" "$work/packages"
    find "$(cd "$1" && pwd)" -maxdepth 1 -name '*.whl' -exec ln -s {} "$work/wheels/" \;
    while IFS= read -r part; do # in order of their names
        name=$(basename "$part")
        cat "$part" >> "$work/wheels/${name%.part-*}"
    done < <(find "$1" -maxdepth 1 -name '*.whl.part-*' | sort)
    wheels=("$work"/wheels/*.whl)
    [ -e "${wheels[0]}" ] || { echo "$0: no wheels in $1" >&2; exit 2; }
    step 110 install.log "$python" -m pip install --quiet --no-index --no-deps --no-compile \
        --disable-pip-version-check --target "$work/packages" "${wheels[@]}"
    PYTHONPATH="$root:$work/packages${PYTHONPATH#"$root"}"
fi

cd "$root"
step 10 gpu.txt nvidia-smi --query-gpu=name,compute_cap,driver_version,memory.total --format=csv,noheader
step 30 doctor.txt "$python" -m rtfocus doctor
step 220 tests.log "$python" -m pytest -m cuda -q -p no:cacheprovider
grep -q ' passed' "$out/tests.log" || failed+=("tests.log: no test ran")
for size in 1280x720 1920x1080 3840x2160; do
    step 45 "bench-$size.json" "$python" -m rtfocus bench --device cuda --size "$size" --json
done

if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
echo "all passed; results in $out"
