"""``python -m wirecase_cli``: the same as the command ``wirecase``."""

import sys

from wirecase_cli.main import main

sys.exit(main())
