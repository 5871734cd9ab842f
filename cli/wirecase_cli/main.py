"""From argv to an exit status: the only place where errors become exit codes.

==== =================================================================================
0    fine; for ``diagnose``: no finding at or above ``--fail-on``
1    findings at or above ``--fail-on``, a client failed its replay, or ``doctor`` misses something required
2    the command line is wrong
3    an input could not be read, or a case cannot be replayed
4    the verdict could not be told: the report could not be written
70   a defect of wirecase
130  interrupted, after printing what is known so far
==== =================================================================================

``wirecase --version`` is asked by scripts and editors: it is answered here, before anything heavy is imported.
"""

from __future__ import annotations

import sys

OK = 0
UNTOLD = 4
DEFECT = 70
INTERRUPTED = 130

_READS_WHOLE = ("diagnose",)
"""Commands that need the digest of the files they are given, so that it is begun before they are imported."""

_COLLECTION = 100_000
"""Objects that are made before the collector looks for cycles among them."""


class _Terminated(BaseException):
    """SIGTERM came."""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status; `argv` is without the program's name."""
    args = sys.argv[1:] if argv is None else argv
    try:
        if args in (["--version"], ["-V"]):
            status = _version()
        else:
            if argv is None:
                _unwind_on_term()
            status = _run(args)
    except _Terminated:
        return _die()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # The reader of a help text has gone, e.g. `| head -1`. Typer itself exits then, and only then.
        status = OK
    status = _flush(status)
    if argv is None:
        import gc

        gc.freeze()  # the process ends now: looking for cycles in all that it imported would only take time
    return status


def _unwind_on_term() -> None:
    """Let SIGTERM leave no temporary files behind: some hold traffic that is not redacted."""
    import signal

    def on_term(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise _Terminated

    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, on_term)


def _die() -> int:
    """End as the signal would have ended this process at once."""
    import os
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
    return 128 + signal.SIGTERM


def _version() -> int:
    from wirecase import __version__

    sys.stdout.write(f"wirecase {__version__}\n")
    return OK


def _run(args: list[str]) -> int:
    from wirecase.errors import WirecaseError

    if args and args[0] in _READS_WHOLE and "--follow" not in args:
        import gc

        from wirecase import digest

        gc.set_threshold(_COLLECTION)  # what is imported stays: looking for cycles in it is in vain

        if any(digest.begin(argument) for argument in args[1:]):
            from wirecase_cli import allocation

            allocation.keep_freed()

    try:
        from wirecase_cli.app import run

        return run(args)
    except WirecaseError as error:
        _complain(str(error))
        return error.exit_status
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever is left is a defect of ours, told in one line
        return _defect(error)


def _complain(message: str) -> None:
    from wirecase_cli.reports.escape import line

    if sys.stderr is not None:
        sys.stderr.write(f"wirecase: {line(message)}\n")


def _defect(error: Exception) -> int:
    import os

    if os.environ.get("WIRECASE_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    else:
        import platform

        from wirecase import __version__

        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f"{os.path.basename(place.tb_frame.f_code.co_filename)}:{place.tb_lineno}" if place is not None else "?"
        _complain(
            f"defect: {type(error).__name__} at {where}: {error} (wirecase {__version__}, Python "
            f"{platform.python_version()}); please report this line, or the traceback that WIRECASE_DEBUG=1 prints"
        )
    return DEFECT


def _flush(status: int) -> int:
    """Write out what is buffered while errors can be handled: at interpreter exit they would print a traceback."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        from wirecase_cli.output import discard_stdout

        discard_stdout()
        if not isinstance(error, BrokenPipeError):
            _complain(f"cannot write to standard output: {error.strerror}")
            return UNTOLD
    return status


if __name__ == "__main__":
    sys.exit(main())
