"""The failures that wirecase declares, each with the exit status that it ends a command with.

The tree is small on purpose: a decoder never raises on bytes from the wire (damage is data there), so all that is left
are inputs that cannot be read at all and requests that make no sense.
"""


class WirecaseError(Exception):
    """Base of every failure that a user can cause or mend; its text is one line and says what to do next."""

    exit_status = 70


class UsageError(WirecaseError):
    """The request itself is at fault: an unknown option value, a filter that does not parse."""

    exit_status = 2


class InputError(WirecaseError):
    """An input could not be opened or holds nothing that can be read."""

    exit_status = 3
