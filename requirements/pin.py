"""Write the pinned requirement files from what is installed: `make pins`.

Usage: python requirements/pin.py EXTRAS FILE [EXTRAS FILE ...], where EXTRAS is `core` or a comma-separated
list. The closure of the extras is followed through the installed metadata and written as `name==version`,
without addresses or hashes, so that the files are the same whichever index served the packages.
"""

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def roots(extras: list[str]) -> list[Requirement]:
    """The direct requirements of the project with these extras, its own extras expanded."""
    lines = list(PROJECT["dependencies"])
    todo, done = [e for e in extras if e != "core"], set()
    while todo:
        extra = todo.pop()
        if extra in done:
            continue
        done.add(extra)
        for line in PROJECT["optional-dependencies"][extra]:
            requirement = Requirement(line)
            if canonical(requirement.name) == PROJECT["name"]:
                todo += requirement.extras
            else:
                lines.append(line)
    return [Requirement(line) for line in lines]


def closure(requirements: list[Requirement]) -> dict[str, str]:
    """Every package that the requirements need here, with its installed version."""
    pins, todo, done = {}, list(requirements), set()
    while todo:
        requirement = todo.pop()
        name, extras = canonical(requirement.name), sorted(requirement.extras)
        if (name, *extras) in done:
            continue
        done.add((name, *extras))
        try:
            found = distribution(requirement.name)
        except PackageNotFoundError:
            sys.exit(f"{requirement}: not installed here, so it cannot be pinned")
        if not requirement.specifier.contains(found.version, prereleases=True):
            sys.exit(f"{requirement}: found {found.version}")
        pins[name] = found.version
        for line in found.requires or []:
            child = Requirement(line)
            if not child.marker or any(child.marker.evaluate({"extra": e}) for e in ["", *extras]):
                todo.append(child)
    return pins


def main(arguments: list[str]) -> None:
    if not arguments or len(arguments) % 2:
        sys.exit(__doc__)
    for extras, file in zip(arguments[::2], arguments[1::2], strict=True):
        pins = closure(roots(extras.split(",")))
        head = f"# The versions that {extras} is tested with, written by `make pins` from pyproject.toml.\n"
        Path(file).write_text(head + "".join(f"{name}=={pins[name]}\n" for name in sorted(pins)))
        print(f"{file}: {len(pins)} packages")


if __name__ == "__main__":
    main(sys.argv[1:])
