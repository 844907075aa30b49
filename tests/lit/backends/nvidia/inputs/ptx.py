"""Print the PTX of the kernel modules in a file, one after another; they are divided as for --split-input-file."""

import sys
from pathlib import Path

from stepwell.backends.nvidia.in_process import kernel_ptx

path, target = sys.argv[1:]
for text in Path(path).read_text().split("// -----"):
    print(kernel_ptx(text, target)[0])
