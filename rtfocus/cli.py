"""The command line."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.config import Dict
from rich.console import Console

from rtfocus import __version__
from rtfocus.config import load_config, to_toml
from rtfocus.console import configure_logging, show_download, show_progress
from rtfocus.errors import RtfocusError, UsageError
from rtfocus.settings import Settings, Whole

if TYPE_CHECKING:
    from rtfocus.live.job import LiveJob
    from rtfocus.pipeline import Job

EXAMPLES = """
Examples:

rtfocus run clip.mp4 -o out.mp4 --focus 0.4,0.5

rtfocus run clip.mp4 -o out.mp4 --save-depth clip.mkv --f-number 1.4

rtfocus run clip.mp4 -o far.mp4 --depth clip.mkv --focus 0.9,0.2

rtfocus run pattern:1280x720@30,4s -o demo.mp4 --focus 0.5,0.55

rtfocus run camera:0 -o camera: --serve 8080
"""

GENERAL = Group("General", sort_key=8)

app = App(
    name="rtfocus",
    help="Refocus video after it was shot.",
    version=__version__,
    help_format="plaintext",
    help_epilogue=EXAMPLES,
)
app.register_install_completion_command()

models = App(name="models", help="Depth networks by name: list, info, pull.")
app.command(models)

Input = Annotated[
    str,
    Parameter(
        help="Video file, image file, directory of images, camera:N[:WxH][@RATE], the URL of a "
        "stream, or pattern[:WxH@RATE,SECONDSs], the built-in scene.",
        metavar="INPUT",
    ),
]
Outputs = Annotated[
    tuple[str, ...],
    Parameter(
        name=["--output", "-o"],
        help="Video or image file, a directory ending in / for a PNG sequence, window, camera: (a "
        "virtual camera), or the URL of a stream. Several are possible.",
        negative=(),
        metavar="OUTPUT",
        show_default=False,
    ),
]


def _flag(names: list[str], text: str) -> Parameter:
    return Parameter(name=names, help=text, group=GENERAL, negative=(), show_default=False)


ModelName = Annotated[str, Parameter(help="As `rtfocus models list` says.", metavar="NAME")]
Json = Annotated[bool, _flag(["--json"], "Print the result as JSON on standard output.")]
Quiet = Annotated[bool, _flag(["--quiet", "-q"], "No progress, no messages but errors.")]
Verbose = Annotated[bool, _flag(["--verbose", "-v"], "More messages; errors with a traceback.")]
LogJson = Annotated[bool, _flag(["--log-json"], "Messages as JSON lines.")]


@app.command
def run(
    input: Input,  # noqa: A002
    /,
    output: Outputs = (),
    *,
    settings: Settings | None = None,
    overwrite: Annotated[bool, _flag(["--overwrite", "-y"], "Replace outputs that exist.")] = False,
    config: Annotated[
        str | None, Parameter(help="Settings from FILE.toml; flags win.", group=GENERAL)
    ] = None,
    preset: Annotated[
        str | None, Parameter(help="Of the config, the table [preset.NAME].", group=GENERAL)
    ] = None,
    print_config: Annotated[bool, _flag(["--print-config"], "Print all settings as TOML.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_json: LogJson = False,
) -> int:
    """Refocus a video, an image or a sequence of images."""
    del config, preset  # read before the command line was parsed, see `_configured`
    settings = settings or Settings()
    if print_config:
        print(to_toml(settings), end="")
        return 0
    configure_logging(quiet=quiet, verbose=verbose, as_json=log_json)
    from rtfocus.run import open_job

    announce = _log_page if log_json else _print_page
    job = open_job(input, output, settings, overwrite=overwrite, announce=announce)
    counts = settings.serve is None  # else the page says how it is going
    progress = show_progress(quiet=quiet or log_json, counts=counts)
    with _stoppable(job), progress as on_frame:
        summary = job.run(on_frame)
    if json:
        _print_json(summary.as_dict())
    return 0


@app.command
def info(input: Input | None = None, /, *, json: Json = False) -> int:  # noqa: A002
    """Describe an input, or this installation."""
    from rtfocus.describe import describe_input, describe_installation

    _print_table(describe_installation() if input is None else describe_input(input), json)
    return 0


@app.command
def doctor(*, json: Json = False) -> int:
    """Check what rtfocus needs on this machine, one by one, with the remedy."""
    from rtfocus.doctor import doctor_checks

    checks = doctor_checks()
    if json:
        _print_json([check._asdict() for check in checks])
    else:
        for check in checks:
            print(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.detail}")
            if not check.ok and check.remedy:
                print(f"     {check.remedy}")
    return 0 if all(check.ok for check in checks) else 1


@app.command
def bench(
    *,
    size: Annotated[str, Parameter(help="Picture size.", metavar="WxH")] = "1280x720",
    frames: Annotated[Whole, Parameter(help="Frames to measure, after a warm-up.")] = 30,
    settings: Settings | None = None,
    json: Json = False,
) -> int:
    """Time every stage on the built-in scene, one after the other."""
    from rtfocus.bench import measure

    result = measure(size, frames, settings or Settings())
    if json:
        _print_json(result)
        return 0
    columns = dict.fromkeys(column for row in result["stages"].values() for column in row)
    print(f"{size}, {frames} frames, {result['device']}, {result['depth']}")
    if "rates" in result:
        print("measured: " + ", ".join(f"{n} {rate:g}" for n, rate in result["rates"].items()))
    print(f"{'stage':10s}" + "".join(f"{column:>14s}" for column in columns))
    for stage, row in result["stages"].items():
        cells = (f"{row[column]:14.3f}" if column in row else f"{'':14s}" for column in columns)
        print(f"{stage:10s}" + "".join(cells).rstrip())
    return 0


@models.command(name="list")
def list_models(*, json: Json = False) -> int:
    """List the networks that have a name."""
    from rtfocus.models.describe import list_networks

    rows = list_networks()
    if json:
        _print_json(rows)
        return 0
    for row in rows:
        print(f"{row['name']:26s} {row['state']:10s} {row['megabytes']:5.0f} MB  {row['about']}")
    return 0


@models.command(name="info")
def model_info(name: ModelName, /, *, json: Json = False) -> int:
    """Say what is known of a network: file, licence, digest, and its card."""
    from rtfocus.models.describe import describe_network

    _print_table(describe_network(name), json)
    return 0


@models.command(name="pull")
def pull_model(
    name: ModelName,
    /,
    *,
    accept_license: Annotated[
        bool, _flag(["--accept-license"], "Accept a licence that forbids commercial use.")
    ] = False,
    quiet: Quiet = False,
) -> int:
    """Fetch a published network, verify it, and keep it for --model NAME."""
    from rtfocus.models.pull import pull
    from rtfocus.models.registry import find_published

    network = find_published(name)
    with show_download(name, quiet=quiet) as on_progress:
        path = pull(network, accept_license=accept_license, on_progress=on_progress)
    if not quiet:
        print(path)
    return 0


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with the code of the contract (see `rtfocus.errors`)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        sys.exit(_configured(arguments)(arguments, exit_on_error=False, print_error=False) or 0)
    except CycloptsError as error:
        errors.print(f"rtfocus: error: {_plain(error)}\nSee rtfocus {_command(arguments)}--help")
        sys.exit(UsageError.exit_code)
    except RtfocusError as error:
        if "-v" in arguments or "--verbose" in arguments:
            errors.print_exception()
        errors.print(f"rtfocus: error: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        errors.print("rtfocus: interrupted")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(RtfocusError.exit_code)
    except Exception as error:
        if "-v" in arguments or "--verbose" in arguments:
            errors.print_exception()
        errors.print(
            f"rtfocus: unexpected error: {type(error).__name__}: {error}\n"
            "This is a fault of rtfocus; -v shows where"
        )
        sys.exit(RtfocusError.exit_code)


def _configured(arguments: list[str]) -> App:
    """The application, its defaults taken from --config and --preset."""
    path, preset = _value(arguments, "--config"), _value(arguments, "--preset")
    app.config = ()
    if path is None:
        if preset is not None:
            raise UsageError(f"--preset {preset!r} needs --config FILE.toml, which defines it")
        return app
    values = {name.replace("_", "-"): _token(v) for name, v in load_config(path, preset).items()}
    app.config = Dict(values, source=path, use_commands_as_keys=False)
    return app


def _value(arguments: list[str], name: str) -> str | None:
    """The value of an option that is needed before the others can be parsed."""
    for i, argument in enumerate(arguments):
        if argument.startswith(f"{name}="):
            return argument.partition("=")[2]
        if argument == name and i + 1 < len(arguments):
            return arguments[i + 1]
    return None


def _token(value: Any) -> Any:
    """A TOML value as the command line has it."""
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _plain(error: CycloptsError) -> str:
    return " ".join(str(error).split())


def _command(arguments: list[str]) -> str:
    known = {"run", "info", "doctor", "bench", "models"}
    return f"{arguments[0]} " if arguments and arguments[0] in known else ""


# The page is told of even where messages are not wanted: nothing else has its address and token.


def _print_page(address: str) -> None:
    print(f"rtfocus: page: {address}", file=sys.stderr, flush=True)


def _log_page(address: str) -> None:
    values = {"msg": f"page: {address}", "levelno": logging.INFO, "levelname": "INFO"}
    logging.getLogger("rtfocus").handle(logging.makeLogRecord(values))


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=1))


def _print_table(rows: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(rows)
        return
    for name, value in rows.items():
        print(f"{name + ':':20s} {value}")


@contextmanager
def _stoppable(job: Job | LiveJob) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM, or SIGHUP) ends the job in order, the second at once."""

    def on_signal(_: int, __: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        job.stop()
        if not job.is_open:  # nothing was begun, and who is waited for may never answer
            raise KeyboardInterrupt

    heard = [signal.SIGINT, signal.SIGTERM]  # even if a shell in the background ignores them
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:  # as `nohup` does
        heard.append(hangup)
    before = {number: signal.signal(number, on_signal) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
