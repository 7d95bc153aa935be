"""A private PostgreSQL for whole programs: heard on a UNIX socket in its own folder, gone with its test."""
import glob
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import tempfile
import unittest

from . import programs


def _programs():
    """The newest version's folder of programs; Debian keeps them out of PATH."""
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    if not found:
        raise unittest.SkipTest("no PostgreSQL server here (Debian: apt-get install postgresql)")
    return pathlib.Path(max(found, key=lambda path: int(re.search(r"/(\d+)/", path).group(1)))).parent


def _ordinary_user():
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


class Cluster:
    """Use it as a context manager; `url` is that of its one database."""

    def __init__(self, durable=False):
        self.durable = durable  # as it comes; otherwise nothing waits for the disk

    def __enter__(self):
        self.bin = _programs()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="claude-telemetry-postgres-"))
        self.url = f"postgres://ct@/postgres?host={self.folder}"
        user = _ordinary_user()
        # Ends with this process, however that ends; said last, because a change of user undoes it.
        self.prefix = ["setpriv", "--pdeathsig", "QUIT"]
        if user:
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.prefix += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        self.data = self.folder / "data"
        self._run("initdb", "--pgdata", self.data, "--username=ct", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
        self.program = programs.Program(
            [*self.prefix, self.bin / "postgres", "-D", self.data, "-k", self.folder, "-c", "listen_addresses=",
             "-c", "unix_socket_permissions=0777", "-c", f"fsync={'on' if self.durable else 'off'}", "-c", "shared_buffers=128MB"], self.folder / "postgres.log")
        self.start()
        return self

    def __exit__(self, *_):
        self.program.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, name, *words):
        run = subprocess.run([*self.prefix, self.bin / name, *map(str, words)], capture_output=True, text=True, timeout=120, cwd=self.folder)
        assert run.returncode == 0, f"{name}: {run.stderr}"
        return run.stdout.strip()

    def start(self):
        self.program.start()
        programs.wait_until(self._answers, 60, "PostgreSQL")

    def _answers(self):
        self.program.check_alive()
        return subprocess.run([self.bin / "pg_isready", "-q", "-h", self.folder], check=False).returncode == 0

    def ask(self, sql):
        """The rows as text, columns apart by '|'."""
        return self._run("psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url, "-c", sql)
