"""Exceptions that end in one sentence instead of a traceback."""


class UserError(Exception):
    """A problem in the input or configuration.

    The message is one sentence that names the file, the offending value and the remedy; `histossl.cli.run`
    prints it without a traceback and exits with code 1.
    """


class JobError(Exception):
    """The job cannot go on, and no input is at fault: the same may succeed when it is started again.

    The message is one sentence; `histossl.cli.run` prints it and exits with code 1. Never a reason to leave a slide
    out.
    """
