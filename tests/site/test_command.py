"""`flowrl-kb site` as a user meets it."""

import pytest

from flowrl_kb import cli, site_command


@pytest.fixture
def call(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(["site", *arguments])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return run


def test_without_mkdocs_one_line_names_the_extra(call, monkeypatch):
    def absent(name):
        raise ModuleNotFoundError("No module named 'mkdocs'", name="mkdocs")

    monkeypatch.setattr(cli, "import_module", absent)
    code, out, err = call("build")
    assert (code, out) == (2, "") and "pip install 'flowrl-kb[site]'" in err and len(err.splitlines()) == 1


def test_a_folder_with_other_things_is_left_alone(call, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    code, out, err = call("build", "--out", str(tmp_path))
    assert (code, out) == (2, "") and "not a built site" in err and len(err.splitlines()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_failed_build_leaves_nothing_behind(call, tmp_path, monkeypatch):
    from mkdocs.exceptions import BuildError

    def fail(config):
        raise BuildError("a page is broken")

    monkeypatch.setattr(site_command.mkdocs_build, "build", fail)
    code, out, err = call("build", "--out", str(tmp_path / "out"))
    assert (code, out) == (2, "") and "a page is broken" in err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_second_build_replaces_the_first(root, tmp_path, call, monkeypatch):
    def write(config):
        from pathlib import Path

        (Path(config.site_dir) / "sitemap.xml").write_text("")
        (Path(config.site_dir) / "index.html").write_text("new")

    monkeypatch.setattr(site_command.mkdocs_build, "build", write)
    for _ in range(2):
        code, out, _ = call("build", "--out", str(tmp_path / "out"))
        assert code == 0 and str(tmp_path / "out" / "index.html") in out
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["index.html", "sitemap.xml"]
