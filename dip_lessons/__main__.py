"""``python -m dip_lessons`` is ``dip-lessons``, for where the command is not on the path."""

import sys

from .course.commands import main

if __name__ == "__main__":
    sys.exit(main())
