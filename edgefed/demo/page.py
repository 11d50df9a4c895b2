"""A demo's page: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def write_page(template: str, values: Mapping[str, Any], path: Path) -> None:
    """Fills a template of this folder, which extends `page.html.j2`, and writes it to `path`."""
    environment = Environment(
        loader=PackageLoader("edgefed.demo", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["kilobytes"] = lambda count: f"{count / 1000:,.1f} kB"
    environment.filters["megabytes"] = lambda count: f"{count / 1e6:,.0f} MB"
    path.write_text(environment.get_template(template).render(values), encoding="utf-8")
