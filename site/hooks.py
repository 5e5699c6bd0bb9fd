"""mkdocs hook: adds the generated pages, so that plain `mkdocs build` and `mkdocs serve` show the whole site."""

import re
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

from flowrl_kb.errors import UserError
from flowrl_kb.kb import code, render
from flowrl_kb.kb.load import load

MARKER = re.compile(r"<!-- kb:([a-z-]+) -->")
_kb = None


def on_files(files, config):
    global _kb
    code.functions.cache_clear()
    try:
        _kb = load()
    except UserError as error:
        raise PluginError("\n".join(error.lines)) from None
    for path, text in {**render.pages(_kb), **render.downloads(_kb)}.items():
        files.append(File.generated(config, path, content=text))
    for path, source in render.pictures(_kb).items():
        files.append(File.generated(config, path, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown, page, **_):
    found = MARKER.findall(markdown)
    if not found:
        return markdown
    blocks = render.inserts(_kb, page.file.src_uri)
    unknown = set(found) - blocks.keys()
    if unknown:
        raise PluginError(f"{page.file.src_uri}: unknown block kb:{unknown.pop()}; expected one of {', '.join(blocks)}")
    return MARKER.sub(lambda m: blocks[m[1]], markdown)


def on_serve(server, config, **_):
    root = Path(config.config_file_path).parent
    for folder in ("methods", "taxonomy", "flowrl_kb/published", "flowrl_kb/parts"):
        if (root / folder).is_dir():
            server.watch(str(root / folder))
    return server
