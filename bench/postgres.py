"""bench/postgres.py PROGRAM: runs it with a folder and, where PostgreSQL is installed, the URL of a durable private database."""
import contextlib
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from tests.system.support import postgres, programs  # noqa: E402

with contextlib.ExitStack() as stack:
    words = [sys.argv[1], stack.enter_context(programs.Folder())]
    try:
        words.append(stack.enter_context(postgres.Cluster(durable=True)).url)
    except unittest.SkipTest as why:
        print(why)
    sys.exit(subprocess.run(words, check=False).returncode)
