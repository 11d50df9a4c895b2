"""The parity certificate of every precision on folders in MVTec layout; prints the columns of docs/prove.md.

python -m benchmarks.compiled_parity --data IMAGES --products mvtec_screw aws_toy_alien
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks.compiled_cases import Case, folder_of_images
from edge_client.prove.certificate import Parity
from edge_client.prove.parity_table import print_parity


def main() -> None:
    """One table for each product: float32, float16 and int8 against the trained model."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiled_parity", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="IMAGES", help="holds a folder for each product")
    parser.add_argument("--products", nargs="+", required=True)
    arguments = parser.parse_args()
    console = Console(width=160)
    for product in arguments.products:
        console.rule(product)
        print_parity(parity_of(Case(folder_of_images(arguments.data / product))), console)


def parity_of(case: Case) -> Parity:
    """The certificates of float32, float16 and int8."""
    half, whole = case.proven("fp16").parity, case.proven("int8").parity
    kept = {f"{layer} of {one.precision}": why for one in (half, whole) for layer, why in one.kept_in_float.items()}
    certificates = (*half.certificates, whole.certificates[-1])
    return Parity(precision=whole.precision, certificates=certificates, kept_in_float=kept)


if __name__ == "__main__":
    main()
