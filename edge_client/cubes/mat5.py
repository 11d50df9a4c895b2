"""`python -m edge_client.cubes.mat5 FILE.mat OUT.npz`: a process of its own that reads a MATLAB 5 file.

scipy's reader trusts what such a file says of its types: a damaged byte can end the process that reads it, which must
not be the one that trains or that a person talks to.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protos.errors import InvalidInput

_REFUSED = 3
_LONGEST_S = 600
_MARK = "="  # before every name: numpy takes an array called "file" for the file itself


def read_mat5(path: Path) -> dict[str, NDArray[np.generic]]:
    """The numeric arrays of a file by name. Raises `InvalidInput` where it is damaged or no MATLAB file."""
    with tempfile.TemporaryDirectory(prefix="edgefed-") as folder:
        out = Path(folder) / "arrays.npz"
        command = [sys.executable, "-m", "edge_client.cubes.mat5", str(path), str(out)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LONGEST_S)
        except subprocess.TimeoutExpired as error:
            raise InvalidInput(f"{path} is damaged: reading it does not end") from error
        if done.returncode:
            said = done.stderr.strip() if done.returncode == _REFUSED else "reading it crashes"
            raise InvalidInput(f"{path} is damaged, or no MATLAB file: {said}")
        with out.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name.removeprefix(_MARK): arrays[name] for name in arrays.files}


def main() -> None:
    """Reads and writes; an error goes to stderr in one line."""
    import scipy.io

    path, out = sys.argv[1:]
    try:
        content = scipy.io.loadmat(path)
    except Exception as error:  # the parser raises whatever the damage leads it to
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(_REFUSED)
    arrays = {_MARK + name: value for name, value in content.items() if isinstance(value, np.ndarray)}
    with Path(out).open("wb") as file:
        np.savez(
            file, allow_pickle=False, **{name: value for name, value in arrays.items() if value.dtype.kind in "biuf"}
        )


if __name__ == "__main__":
    main()
