"""The site in a real browser."""

import re
from html import unescape

import pytest

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 800}}


def every_page(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*.html") if p.name != "404.html")


def one_of_each_kind(root):
    """The single pages, and the largest page of each folder."""
    pages = [p for p in every_page(root) if "/" not in p or p.endswith("index.html")]
    for folder in {p.rpartition("/")[0] for p in every_page(root)} - {""}:
        largest = max((root / folder).glob("*.html"), key=lambda p: p.stat().st_size)
        pages.append(str(largest.relative_to(root)))
    return sorted(set(pages))


def inspect(visit, address, paths):
    """Return what is wrong on a phone: pages that scroll sideways, formulas that fail or were not drawn."""
    page, wrong = visit("index.html", **PHONE), []
    for path in paths:
        page.goto(address + path)
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wrong.append(f"{path} is wider than the screen")
        if page.locator(".katex-error").count():
            wrong.append(f"{path} has a formula with an error")
        if page.evaluate("[...document.querySelectorAll('.arithmatex')].some(e => !e.querySelector('.katex'))"):
            wrong.append(f"{path} has a formula that was not drawn")
    return wrong + visit.trouble


def test_each_kind_of_page_opens_without_error_or_external_request(visit, root, address):
    assert inspect(visit, address, one_of_each_kind(root)) == []


@pytest.mark.slow
def test_every_page_opens_without_error_or_external_request(visit, root, address):
    assert inspect(visit, address, every_page(root)) == []


def test_every_formula_of_the_site_is_valid(visit, root):
    formulas = {}
    for path in every_page(root):
        text = (root / path).read_text(encoding="utf-8")
        for found in re.findall(r'class="arithmatex[^"]*">\\[(\[](.*?)\\[)\]]</', text, re.DOTALL):
            formulas.setdefault(unescape(found), path)
    assert len(formulas) > 100
    check = "s => { try { katex.renderToString(s); return null } catch (e) { return e.message } }"
    page = visit("methods/sdac.html")
    wrong = page.evaluate(f"all => all.map({check})", list(formulas))
    assert [(formulas[f], f, w) for f, w in zip(formulas, wrong, strict=True) if w] == []
    assert page.evaluate(check, "\\frac{1") is not None


def test_mathematics_is_drawn(visit):
    page = visit("methods/sdac.html")
    assert page.locator("#loss ~ .kb-display .katex").count() >= 2
    assert page.locator(".kb-display .katex-html").first.bounding_box()["width"] > 100


def test_map_cells_lead_to_methods(visit, address):
    page = visit("maps/flowrl-paper.html")
    page.locator("#map td a", has_text="SDAC").click()
    assert page.url == address + "methods/sdac.html" and page.locator("h1").inner_text().startswith("SDAC")
    page.go_back()
    hole = page.locator("#map td a.kb-hole").first
    target = hole.get_attribute("href")
    hole.click()
    assert page.locator(target.replace(":", "\\:")).is_visible()
    assert visit.trouble == []


def test_the_filter_narrows_and_is_kept_in_the_address(visit, kb):
    page = visit("methods/index.html")
    shown = page.locator("table.kb-filterable tbody tr:visible")
    assert shown.count() == len(kb.cards)
    page.get_by_label("Filter").fill("pathwise fixed")
    names = {
        a.split("/")[-1].removesuffix(".html") for a in shown.locator("th a").evaluate_all("x => x.map(a => a.href)")
    }
    expected = kb.query("route=pathwise & reference=fixed").satisfies
    assert set(expected) <= names < set(kb.cards)
    assert page.url.endswith("#filter=pathwise%20fixed")
    page.reload()
    assert page.get_by_label("Filter").input_value() == "pathwise fixed" and shown.count() == len(names)
    page.get_by_label("Filter").fill("no such method")
    assert shown.count() == 0


def test_columns_sort_both_ways(visit):
    page = visit("methods/index.html")
    years = page.locator("table.kb-filterable tbody tr td:nth-of-type(1)")
    button = page.get_by_role("button", name="Sort by Year")
    button.click()
    up = years.all_inner_texts()
    button.click()
    assert up == sorted(up) and years.all_inner_texts() == sorted(up, reverse=True) and up[0] != up[-1]
    assert page.locator("th[aria-sort=descending]").count() == 1


def test_pages_read_without_scripts(visit):
    page = visit("methods/sdac.html", java_script_enabled=False)
    assert page.locator("#coordinates").is_visible()
    assert page.get_by_role("link", name="regression-value").first.is_visible()
    assert visit("methods/index.html", java_script_enabled=False).locator("table.kb tbody tr").first.is_visible()


@pytest.mark.parametrize("words", ["sdac", "diffv2"])
def test_search_finds_a_method_by_name_and_alias(visit, words):
    page = visit("index.html")
    page.locator("input[name=query]").press_sequentially(words)
    first = page.locator(".md-search-result__item a").first
    first.wait_for()
    assert "methods/sdac.html" in first.get_attribute("href")
    assert visit.trouble == []


def test_mathematics_and_links_work_from_disk(browser, root):
    page = browser.new_page()
    page.goto(f"file://{root}/methods/sdac.html")
    assert page.locator(".katex").count() > 0
    page.locator("nav.kb-crumbs a").click()
    assert page.url.endswith("methods/index.html")
    page.close()


CONTRAST = """selector => {
  const linear = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = color => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(v => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const a = light(getComputedStyle(document.querySelector(selector)).color);
  const b = light(getComputedStyle(document.body).backgroundColor);
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_can_be_read_in_both_schemes(visit, scheme):
    page = visit("methods/sdac.html", color_scheme=scheme)
    for selector in (".kb-badge", ".md-content a", ".kb-crumbs", ".kb-lead"):
        assert page.evaluate(CONTRAST, selector) >= 4.5, selector
    underline = page.locator("table.kb a").first.evaluate("a => getComputedStyle(a).textDecorationLine")
    assert underline == "underline"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_verdict_matrix_can_be_read_in_both_schemes(visit, kb, scheme):
    page = visit("relations.html", color_scheme=scheme)
    first = page.locator("svg.kb-matrix").first
    names = first.locator("g.kb-cell title").all_text_contents()
    n = sum(kb.nodes[id]["policy"] != "flat" for id in kb.cards)  # the others train no actor
    assert len(names) == n * (n - 1) // 2 and all(": " in name for name in names)
    fills = page.evaluate(
        """() => {
          const mark = document.querySelector('.kb-cell-different text');
          const tag = '<span id="probe" style="color:' + getComputedStyle(mark).fill + '">x</span>';
          document.body.insertAdjacentHTML('beforeend', tag);
          return [...document.querySelectorAll('.kb-cell rect')].map(r => getComputedStyle(r).fill);
        }"""
    )
    assert page.evaluate(CONTRAST, "#probe") >= 4.5 and len(set(fills)) > 1
    first.locator("a").first.click()
    assert "/methods/" in page.url and visit.trouble == []
