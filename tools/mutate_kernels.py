"""Check that the tests notice faults in the kernels; needs no GPU.

    python tools/mutate_kernels.py [FILE ...] [--kinds KIND,...] [--sample N] [--list]

Makes one small fault at a time, of these kinds, in a copy of the package's kernel files:

    barrier  a barrier is missing
    clamp    a clamped index may be one too small or too large
    bound    a check of a bound is off by one, or missing
    index    a neighbour on the other side: + 1 is - 1, or the reverse

and runs tests/gpu/test_cuda_FILE.py on the pretended GPU whose streams are late, all but those of
barriers under AddressSanitizer. A fault that no test notices has survived; one with which the tests
take too long, hung. Those that change no
result, or nothing that a test could see, are listed in tools/equivalent_mutants.toml with the
reason. Exits with 1 if others survived, or if tests fail without a fault.

It takes some 3 to 20 s per fault: choose files, kinds, or a --sample of N faults per file.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kernel_compiler import kernel_files
from kernel_sanitizer import sanitized_environment

ROOT = Path(__file__).parents[1]
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.toml")
KINDS = ("barrier", "clamp", "bound", "index")

_TESTED_BY = {
    "align": "smooth",
    "block": "smooth",
    "classify": "render",
    "prepare": "network",
    "rates": "floor",
}  # without tests of their own

_COUNTER = r"\b(?:[a-z]{1,2}|thread|row|column|lane|threadIdx\.[xyz])(?: \+ \w+)?"
_LIMIT = r"[a-z][\w.]*\b(?!\()"  # float literals start with a digit
_RULES: dict[str, list[tuple[str, str | Callable[[re.Match[str]], str]]]] = {
    "barrier": [(r"__sync(?:threads|warp)\(\);", ";")],
    "clamp": [
        (r"(\b(?:min|clamp)\([^;]*?,[^;()]*\w) - 1\)", r"\1)"),
        (r"(\bmax\([^;()]*?), 0\)", r"\1, -1)"),
        (r"(\bclamp\([^;()]*?), 0, ", r"\1, -1, "),
    ],
    "bound": [
        (rf"({_COUNTER}) < ({_LIMIT})", r"\1 <= \2"),
        (rf"({_COUNTER}) >= ({_LIMIT})", r"\1 > \2"),
        (r"if \([^;{}]*(?:<|>=)[^;{}]*\) return;", ";"),
        (r"if \([xy] < [^;{}]*\) \{", "if (true) {"),
    ],
    "index": [
        (r"(?<=[\w)\]]) \+ 1\b(?![.\w])", " - 1"),
        (r"(?<=[\w)\]]) - 1\b(?![.\w])", " + 1"),
    ],
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A kernel file with one fault.

    Attributes:
        file: without suffix.
        kind: one of `KINDS`.
        number: of the line, from 1.
        before: the line as it is, without indentation.
        after: the line with the fault, likewise.
        text: of the whole file.
    """

    file: str
    kind: str
    number: int
    before: str
    after: str
    text: str


def mutants(file: str, code: str) -> Iterator[Mutant]:
    """Every fault that the rules make in a text."""
    lines = code.split("\n")
    for n, line in enumerate(lines):
        statement = line.split("//")[0].rstrip()
        if statement.lstrip().startswith("#"):
            continue
        seen = set()
        for kind, rules in _RULES.items():
            for pattern, instead in rules:
                for match in re.finditer(pattern, statement):
                    fault = match.expand(instead) if isinstance(instead, str) else instead(match)
                    new = statement[: match.start()] + fault + statement[match.end() :]
                    if new in seen:
                        continue
                    seen.add(new)
                    text = "\n".join([*lines[:n], new, *lines[n + 1 :]])
                    yield Mutant(file, kind, n + 1, statement.strip(), new.strip(), text)


class Workplace:
    """A copy of the package and its tests, in which kernels can be changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        ignore = shutil.ignore_patterns("__pycache__")
        for name in ("rtfocus", "tests", "tools"):
            shutil.copytree(ROOT / name, folder / name, ignore=ignore)
        shutil.copy(ROOT / "pyproject.toml", folder)
        self._plain = os.environ | {"OMP_NUM_THREADS": "1"}
        self._sanitized = sanitized_environment()
        for environment in (self._plain, self._sanitized):
            environment["PYTHONPATH"] = str(folder)
            environment["PYTHONDONTWRITEBYTECODE"] = "1"

    def run(self, file: str, code: str, *, sanitized: bool, limit: float) -> str:
        """Run the file's tests with this text: passed, failed, hung, or not compiled."""
        path = _path(self._folder, file)
        original = path.read_text()
        path.write_text(code)
        tests = f"tests/gpu/test_cuda_{_TESTED_BY.get(file, file)}.py"
        options = ["-x", "-q", "-p", "no:cacheprovider", "-k", "late", tests]
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", *options],
                cwd=self._folder,
                env=self._sanitized if sanitized else self._plain,
                capture_output=True,
                text=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "hung"
        finally:
            path.write_text(original)
        if done.returncode == 0:
            return "passed"
        return "not compiled" if re.search(r"kernels:\d+:\d+: error", done.stdout) else "failed"


def main() -> int:
    """Run the check; 1 if a fault survived or a test fails without one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="without .cu; else all")
    parser.add_argument("--kinds", default=",".join(KINDS), help="separated by commas")
    parser.add_argument("--sample", type=int, help="this many faults per file, chosen by chance")
    parser.add_argument("--list", action="store_true", help="only list the faults")
    arguments = parser.parse_args()
    chosen = {
        file: _choose(file, arguments.kinds.split(","), arguments.sample)
        for file in arguments.files or [*kernel_files(), "block"]
    }
    if arguments.list:
        for mutant in (m for found in chosen.values() for m in found):
            print(_describe(mutant))
        return 0
    known = tomllib.loads(EQUIVALENT.read_text())
    reasons = {(e["file"], e["line"]): e["reason"] for e in known.get("equivalent", ())}
    if arguments.sample is None and arguments.kinds == ",".join(KINDS):
        _complain_of_unused(reasons, chosen)
    with tempfile.TemporaryDirectory() as folder:
        workplace = Workplace(Path(folder))
        counts = [_check(workplace, file, found, reasons) for file, found in chosen.items()]
    print("\nsummary")
    for file, count in zip(chosen, counts, strict=True):
        print(f"  {file:16}", ", ".join(f"{n} {result}" for result, n in sorted(count.items())))
    return int(any(count["survived"] or count["tests fail"] for count in counts))


def _path(root: Path, file: str) -> Path:
    """Of a kernel file, or of one that several begin with."""
    folder = root / "rtfocus" / "cuda"
    shared = folder / f"{file}.cuh"
    return shared if shared.exists() else folder / f"{file}.cu"


def _choose(file: str, kinds: list[str], sample: int | None) -> list[Mutant]:
    code = _path(ROOT, file).read_text()
    found = [mutant for mutant in mutants(file, code) if mutant.kind in kinds]
    if sample is not None and sample < len(found):
        numbers = sorted(random.Random(0).sample(range(len(found)), sample))
        found = [found[n] for n in numbers]
    return found


def _complain_of_unused(
    reasons: dict[tuple[str, str], str], chosen: dict[str, list[Mutant]]
) -> None:
    made = {(mutant.file, mutant.after) for found in chosen.values() for mutant in found}
    for file, line in reasons:
        if file in chosen and (file, line) not in made:
            print(f"{EQUIVALENT.name}: nothing makes this of {file}.cu any more: {line}")


def _check(
    workplace: Workplace, file: str, found: list[Mutant], reasons: dict[tuple[str, str], str]
) -> Counter[str]:
    """Print what becomes of every mutant of a file; counts the results."""
    count: Counter[str] = Counter()
    code = _path(ROOT, file).read_text()
    limits = {}
    for sanitized in sorted({mutant.kind != "barrier" for mutant in found}):
        start = time.monotonic()
        result = workplace.run(file, code, sanitized=sanitized, limit=900)
        if result != "passed":
            print(f"{file}: without a fault its tests are {result}", flush=True)
            count["tests fail"] += 1
            return count
        limits[sanitized] = 30 + 5 * (time.monotonic() - start)
    for mutant in found:
        sanitized = mutant.kind != "barrier"
        result = workplace.run(file, mutant.text, sanitized=sanitized, limit=limits[sanitized])
        reason = reasons.get((file, mutant.after), "")
        if result == "passed":
            result = "equivalent" if reason else "survived"
        elif result == "failed":
            result = "killed"
        count[result] += 1
        print(f"{result:12} {_describe(mutant)}", f" ({reason})" * bool(reason), flush=True)
    return count


def _describe(mutant: Mutant) -> str:
    where = f"{mutant.file}.cu:{mutant.number}"
    return f"{where:20} {mutant.kind:8} {mutant.before}  =>  {mutant.after}"


if __name__ == "__main__":
    sys.exit(main())
