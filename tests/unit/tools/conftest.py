"""Run stepwell-opt in this process, and the real mlir-opt beside it."""

import subprocess
from dataclasses import dataclass

import pytest

from stepwell.support.bindings import tool_path
from stepwell.tools.opt import main


@dataclass
class Outcome:
    """What a tool did."""

    status: int
    out: str
    err: str


@pytest.fixture
def opt(capfdbinary):
    """Return a function that runs stepwell-opt."""

    def run(*arguments):
        capfdbinary.readouterr()
        status = main([str(argument) for argument in arguments])
        captured = capfdbinary.readouterr()
        decoded = (data.decode(errors="surrogateescape") for data in captured)
        return Outcome(status, *decoded)

    return run


@pytest.fixture
def mlir_opt():
    """Return a function that runs mlir-opt."""

    def run(*arguments):
        done = subprocess.run([tool_path("mlir-opt"), *map(str, arguments)], capture_output=True)
        decoded = (data.decode(errors="surrogateescape") for data in (done.stdout, done.stderr))
        return Outcome(done.returncode, *decoded)

    return run


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes a file into an empty current directory."""
    monkeypatch.chdir(tmp_path)

    def write_file(name, text):
        (tmp_path / name).write_text(text)
        return name

    return write_file
