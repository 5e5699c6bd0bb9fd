"""`flowrl-kb site`: build the pages, or serve them while they are edited."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated

# Both packages print an advertisement for or against mkdocs 2 on import unless told not to.
os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")
os.environ.setdefault("DISABLE_MKDOCS_2_WARNING", "true")

import material  # noqa: E402, F401  -- the theme: named here so that its absence is one clear line
import typer  # noqa: E402
from mkdocs.commands import build as mkdocs_build  # noqa: E402
from mkdocs.commands import serve as mkdocs_serve  # noqa: E402
from mkdocs.config import load_config  # noqa: E402
from mkdocs.exceptions import Abort, MkDocsException  # noqa: E402

from flowrl_kb.errors import UserError  # noqa: E402
from flowrl_kb.kb.load import load  # noqa: E402

app = typer.Typer(help="Build or serve the site.", no_args_is_help=True, add_completion=False)


@app.command()
def build(
    out: Annotated[Path | None, typer.Option(help="Folder to write; build/site by default.")] = None,
) -> None:
    """Build the site and say where to open it."""
    config_file, start = _config(), time.perf_counter()
    load()  # errors in the data are reported as by `check`, before anything is written
    target = (out or config_file.parent / "build" / "site").resolve()
    if target.exists() and not (target / "sitemap.xml").exists() and any(target.iterdir()):
        raise UserError(f"{target} holds something that is not a built site; name an empty or a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".site-", dir=target.parent))
    try:
        _run(config_file, fresh)
        fresh.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    pages = sum(1 for _ in target.rglob("*.html"))
    print(f"Built {pages} pages in {time.perf_counter() - start:.1f} s. Open {target / 'index.html'}")


@app.command()
def serve(
    address: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1:8000",
) -> None:
    """Serve the site and rebuild it when cards, axes or pages change."""
    load()
    logging.getLogger("mkdocs").setLevel(logging.INFO)
    logging.basicConfig(format="%(message)s")
    try:
        mkdocs_serve.serve(str(_config()), dev_addr=address)
    except (MkDocsException, OSError) as error:
        raise UserError(f"site serve: {error}") from None


def _config() -> Path:
    found = Path(__file__).resolve().parents[1] / "mkdocs.yml"
    if not found.is_file():
        raise UserError("site: the pages are part of the repository, not of an installed package; run in a checkout")
    return found


class _Collect(logging.Handler):
    """Keeps warnings: in strict mode each of them is a defect of the site."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _run(config_file: Path, out: Path) -> None:
    log, collect = logging.getLogger("mkdocs"), _Collect()
    log.addHandler(collect)
    log.propagate = False
    try:
        mkdocs_build.build(load_config(str(config_file), site_dir=str(out)))
    except (Abort, MkDocsException) as error:
        raise UserError("\n".join(["site: not built", *(collect.lines or [str(error)])])) from None
    finally:
        log.removeHandler(collect)
        log.propagate = True
