#!/usr/bin/env python
"""DAEF's commands: ``python manage.py help`` lists them."""

import os
import sys


def main() -> int:
    """Run the command named on the command line; wrong settings end in one line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "daef_site.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    from daef_site.env import BadSetting

    try:
        execute_from_command_line(sys.argv)
    except (BadSetting, ImproperlyConfigured) as error:
        return _failed(error)
    except OperationalError as error:
        # Imported here: the backend cannot be loaded before the settings are.
        from daef_site.database.base import NoStore

        if not isinstance(error, NoStore):
            raise
        return _failed(error)
    return 0


def _failed(error: Exception) -> int:
    print(f"daef: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
