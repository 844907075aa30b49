"""The README's blocks run, and print what it says they print."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    """Return the README's blocks of one language, in order."""
    return [text for name, text in BLOCK.findall((ROOT / "README.md").read_text()) if name == language]


def run(directory: Path, name: str, source: str) -> str:
    """Run a script in ``directory`` and return what it prints."""
    (directory / name).write_text(source)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", name], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_example_prints_what_the_readme_says(tmp_path: Path) -> None:
    """The first Python block gives the first plain block."""
    source = blocks("python")[0].replace("/tmp/gated.swx", str(tmp_path / "gated.swx"))
    assert run(tmp_path, "gated.py", source).split() == blocks("")[0].split()
    assert (tmp_path / "gated.swx").exists()


def test_pass_of_ten_minutes(tmp_path: Path) -> None:
    """The pass of the README rewrites a program, in the pipeline that the README puts it in."""
    definition, use = blocks("python")[1:3]
    (tmp_path / "twice.py").write_text(definition)
    program = (
        "import torch\n"
        "class Twice(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return x * 2\n"
        "exported = torch.export.export(Twice(), (torch.arange(3.0),))\n"
    )
    printed = run(tmp_path, "use.py", program + use + "print(exe.ir('linalg'), exe(torch.arange(3.0)))\n")
    assert "arith.addf" in printed
    assert "arith.mulf" not in printed
    assert "tensor([0., 2., 4.])" in printed


def test_simulated_gpu(tmp_path: Path) -> None:
    """The program of the example runs on the simulated GPU."""
    example, use = blocks("python")[0].replace("/tmp/gated.swx", str(tmp_path / "gated.swx")), blocks("python")[3]
    printed = run(tmp_path, "simulated.py", example.partition("exe = ")[0] + use)
    assert "torch.Size([3, 64])" in printed
    assert "schedule: gemm" in printed
    assert ".visible .entry" in printed


def test_training(tmp_path: Path) -> None:
    """The losses that ``torch.compile`` gives are those of the README."""
    text = (ROOT / "README.md").read_text()
    source, printed = BLOCK.findall(text.partition("## torch.compile\n")[2])[:2]
    assert run(tmp_path, "train.py", source[1]).split() == printed[1].split()


def test_commands_exist() -> None:
    """Every command that the README names is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    for command in re.findall(r"^\$ make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE):
        assert re.search(rf"^{command}:", makefile, re.MULTILINE)
