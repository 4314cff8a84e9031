"""The one exception that means: the user can mend this."""


class UserError(Exception):
    """A problem in the input or configuration.

    The message is one sentence that names the file, the offending value and the remedy; `histossl.cli.run`
    prints it without a traceback and exits with code 1.
    """
