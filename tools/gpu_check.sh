#!/usr/bin/env bash
# Everything to check and measure on a machine with an NVIDIA GPU, in less than 9 minutes.
#
#     tools/gpu_check.sh [FOLDER] [NETWORK.onnx]
#
# FOLDER holds wheels of what this machine's Python lacks; they are unpacked to a temporary folder
# without any network. Large ones may be in parts: `split -b 45M A.whl A.whl.part-`.
# NETWORK.onnx is a Depth Anything V2 Small, whose weights may be random, as its speed does not depend
# on them:
#
#     python tools/export_dpt.py depth-anything-v2-small NETWORK.onnx --random --half
#
# Without it that is done here, or left out where PyTorch or transformers is not installed.
# All that is measured and printed goes to report.txt, errors to errors.log too, in $OUT, else in the
# current folder. PYTHON names the interpreter, else python3. Exits with 1 if a step failed or was left
# out for want of time; those after it are made, but for the first one, which needs no GPU.
set -euo pipefail

readonly limit=530 # seconds for all steps
root=$(cd "$(dirname "$0")/.." && pwd)
out=$(mkdir -p "${OUT:-.}" && cd "${OUT:-.}" && pwd)
python=${PYTHON:-python3}
failed=() skipped=()
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: > "$out/report.txt"
: > "$out/errors.log"

usage() {
    echo "$0: $1" >&2
    echo "usage: $0 [FOLDER of wheels] [NETWORK.onnx]" >&2
    exit 2
}

say() { echo "== $*" | tee -a "$out/report.txt"; }

# step SECONDS NAME COMMAND...: what it prints is left in $work/printed, too.
step() {
    local seconds=$1 name=$2 status=0 start=$SECONDS left=$((limit - SECONDS))
    shift 2
    if [ "$left" -lt 10 ]; then
        say "$name: left out, no time is left"
        failed+=("$name")
        return
    fi
    [ "$seconds" -le "$left" ] || seconds=$left
    say "$name: $* (at most $seconds s)"
    timeout --kill-after=5 "$seconds" "$@" 2> "$work/errors" | tee "$work/printed" | tee -a "$out/report.txt" || status=$?
    sed "s|^|$name: |" "$work/errors" | tee -a "$out/report.txt" "$out/errors.log" >&2
    case $status in
        0) ;;
        124 | 137) say "$name: stopped after $seconds s" && failed+=("$name") ;;
        *) say "$name: failed with status $status" && failed+=("$name") ;;
    esac
    say "$name: $((SECONDS - start)) s"
}

# bench NAME SIZE MODEL MORE...
bench() {
    local name=$1 size=$2 model=$3
    shift 3
    step 45 "bench $name" "$python" -m rtfocus bench --device cuda --size "$size" --model "$model" "$@" --json
}

wheels='' network=''
for argument in "$@"; do
    if [ -d "$argument" ]; then
        wheels=$(cd "$argument" && pwd)
    elif [[ $argument == *.onnx && -f $argument ]]; then
        network=$(realpath "$argument")
    else
        usage "$argument is neither a folder of wheels nor a network"
    fi
done

export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
if [ -n "$wheels" ]; then
    mkdir "$work/wheels" "$work/packages"
    find "$wheels" -maxdepth 1 -name '*.whl' -exec ln -s {} "$work/wheels/" \;
    while IFS= read -r part; do # in order of their names
        name=$(basename "$part")
        cat "$part" >> "$work/wheels/${name%.part-*}"
    done < <(find "$wheels" -maxdepth 1 -name '*.whl.part-*' | sort)
    found=("$work"/wheels/*.whl)
    [ -e "${found[0]}" ] || usage "no wheels in $wheels"
    step 110 install "$python" -m pip install --quiet --no-index --no-deps --no-compile \
        --disable-pip-version-check --target "$work/packages" "${found[@]}"
    PYTHONPATH="$root:$work/packages${PYTHONPATH#"$root"}"
    # ONNX Runtime looks for CUDA's libraries beside itself only.
    libraries=$("$python" -c 'import nvidia; print(next(iter(nvidia.__path__)))' 2> /dev/null || true)
    [ -z "$libraries" ] || [ -e "$work/packages/nvidia" ] || ln -s "$libraries" "$work/packages/nvidia"
fi

cd "$root"
step 60 "without a GPU" "$python" -m rtfocus run pattern:128x72@30,0.2s -o "$work/clip.mp4" --device cpu
step 20 "with what it reads" "$python" -m rtfocus info "$work/clip.mp4"
if [ ${#failed[@]} -gt 0 ]; then
    say "stopped: rtfocus does not even run on this machine's CPU"
    exit 1
fi
step 10 GPU nvidia-smi --query-gpu=name,compute_cap,driver_version,memory.total --format=csv,noheader
step 30 doctor "$python" -m rtfocus doctor

for size in 1280x720 1920x1080 3840x2160; do
    bench "$size" "$size" rtfocus-small
done

if [ -z "$network" ] && "$python" -c 'import onnx, torch, transformers' > /dev/null 2>&1; then
    step 60 export "$python" tools/export_dpt.py depth-anything-v2-small "$work/network.onnx" --random --half
    [ ! -e "$work/network.onnx" ] || network=$work/network.onnx
fi
if [ -n "$network" ]; then
    for grid in 252x448 518x924; do
        bench "Depth Anything $grid" 1920x1080 "$network" --depth-size "$grid"
    done
else
    skipped+=("Depth Anything: no NETWORK.onnx was given, nor can it be made here")
fi

step 150 endurance "$python" tools/benchmarks/endurance.py --device cuda --size 1920x1080 --seconds 120
: > "$work/printed"
step "$limit" tests "$python" -m pytest -m cuda -q -p no:cacheprovider -W default
grep -q ' passed' "$work/printed" || failed+=("tests: none ran, or not all did")

for reason in ${skipped[@]+"${skipped[@]}"}; do
    say "skipped: $reason"
done
if [ ${#failed[@]} -gt 0 ]; then
    say "failed: ${failed[*]}"
    exit 1
fi
say "all passed in $SECONDS s"
