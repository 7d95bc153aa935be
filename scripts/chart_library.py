#!/usr/bin/env python3
"""Puts the portal's chart library into FOLDER as uplot.js and uplot.css: chart_library.py CACHE FOLDER

It comes from the npm registry, is kept in CACHE, and is taken only if its bytes are the known ones.
When it cannot be had both files are left empty, and the portal shows tables without drawn charts.
"""
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

PACKAGE = "uplot@1.6.32"
FILES = {
    "uplot.js": ("package/dist/uPlot.iife.min.js", "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"),
    "uplot.css": ("package/dist/uPlot.min.css", "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"),
}


def fetch(cache):
    """The package's files by our names; an exception says why not."""
    if not shutil.which("npm"):
        raise OSError("npm is not installed")
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(["npm", "pack", "--silent", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=20000",
                              PACKAGE], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
        if run.returncode != 0:
            raise OSError((run.stderr.strip().splitlines() or ["npm pack failed"])[-1])
        with tarfile.open(next(pathlib.Path(folder).glob("*.tgz"))) as archive:
            for name, (member, _) in FILES.items():
                cache.joinpath(name).write_bytes(archive.extractfile(member).read())


def known(path, digest):
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def main():
    cache, folder = map(pathlib.Path, sys.argv[1:3])
    cache.mkdir(parents=True, exist_ok=True)
    try:
        if not all(known(cache / name, digest) for name, (_, digest) in FILES.items()):
            fetch(cache)
        for name, (_, digest) in FILES.items():
            if not known(cache / name, digest):
                raise OSError(f"{name} of {PACKAGE} is not the known file")
            shutil.copyfile(cache / name, folder / name)
    except (OSError, subprocess.TimeoutExpired, StopIteration, tarfile.TarError, KeyError) as why:
        print(f"chart_library: building without {PACKAGE}, the portal shows tables only: {why}", file=sys.stderr)
        for name in FILES:
            (folder / name).write_bytes(b"")


if __name__ == "__main__":
    main()
