"""Build the wheel and the sdist, compare their files with git's, and run lit from an empty directory against the wheel.

An editable install sees every file of the checkout; only an installed wheel shows what the package really carries.
"""

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def tracked_files() -> set[str]:
    """Return the package's files that git tracks."""
    listed = subprocess.run(["git", "ls-files", "stepwell"], cwd=ROOT, check=True, capture_output=True, text=True)
    return set(listed.stdout.split())


def wheel_files(wheel: Path) -> set[str]:
    """Return the package's files inside a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if name.startswith("stepwell/")}


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", scratch, str(ROOT)]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        wheel = next(Path(scratch).glob("*.whl"))
        missing, extra = tracked_files() - wheel_files(wheel), wheel_files(wheel) - tracked_files()
        if missing or extra:
            print(f"wheel lacks {sorted(missing)} and has besides {sorted(extra)}")
            return 1
        environment = Path(scratch) / "env"
        venv.create(environment, system_site_packages=False, with_pip=True)
        python = environment / "bin" / "python"
        install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)]
        subprocess.run(install, check=True)
        site = next((environment / "lib").glob("python*/site-packages"))
        # The dependencies come from this environment; stepwell itself must not.
        host = next(path for path in sys.path if path.endswith("site-packages"))
        (site / "host.pth").write_text(host + "\n")
        empty = Path(scratch) / "empty"
        empty.mkdir()
        tests = ROOT / "tests" / "lit" / "dialects"
        lit = [str(python), "-m", "lit.main", "-q", str(tests)]
        variables = {**os.environ, "PATH": f"{environment / 'bin'}:{os.environ['PATH']}"}
        return subprocess.run(lit, cwd=empty, env=variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
