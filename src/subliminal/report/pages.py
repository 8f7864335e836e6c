"""A report as a page: Markdown of its sections, and HTML of the Markdown.

Whatever the HTML says, the Markdown says. What is added is the box around the answer, the list of sections, tables that
scroll or fold, figures in the colours of the page, and a style: one file, nothing from the network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from html import escape, unescape
from typing import Any

from subliminal.core.templates import templates
from subliminal.report.blocks import Section
from subliminal.report.figure import themed

LONG = 48
"""Letters of a cell that may be broken into lines."""
FOLDED = 20
"""A table with more rows is folded."""
HEADLINE_PARAGRAPH = re.compile(r"<p><strong>(.+?): (.+)\. (.+)\.</strong></p>\n")
"""The paragraph of a headline: what was measured, the number, the claim."""


@cache
def _templates() -> Any:
    environment = templates("subliminal.report")
    environment.filters["cell"] = _escaped
    return environment


def _escaped(text: str) -> str:
    """A text as a table's cell has it: on one line, with its bars told from the table's."""
    # Backslashes first: those that the bars get must stay single.
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")


def markdown(page: Section) -> str:
    """A section with all its parts, the parts one level of headings below it."""
    return _templates().get_template("page.md.j2").render(page=page).strip("\n") + "\n"


def html(text: str, drawings: Mapping[str, str]) -> str:
    """A page for a browser.

    Args:
        text: of :func:`markdown`; its first heading is the title.
        drawings: file as the text names it -> SVG, which stands in the page.
    """
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode
    from markupsafe import Markup

    # Reasons of audits, questions and paths stand in the text: no tag in them becomes one.
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    blocks = SyntaxTreeNode(parser.parse(text)).children
    shown = []
    for block in blocks:
        rendered = parser.renderer.render(block.to_tokens(), parser.options, {})
        shown.append(_dressed(block, rendered, drawings))
    for index, rendered in enumerate(shown):
        if answer := HEADLINE_PARAGRAPH.fullmatch(rendered):
            shown[index] = _box(*answer.groups())
            # The sentence belongs into the box, and the list below it, if there is one.
            end = index + 1
            if blocks[index + 2 : index + 3] and blocks[index + 2].type == "bullet_list":
                end = index + 2
            shown[end] = re.sub("<li>([^:<]*): ", r"<li><span>\1</span> ", shown[end]) + "</div>\n"
    headings = [index for index, block in enumerate(blocks) if block.tag == "h2"]
    titles = [_words(blocks[index]) for index in headings]
    for section, index in enumerate(headings, start=1):
        shown[index] = _opening(section, titles) + shown[index]
    if titles:
        shown.append("</section>\n")
    body = "".join(shown)
    page = _templates().get_template("page.html.j2")
    return page.render(title=_words(blocks[0]), body=Markup(body))


def _dressed(block: Any, text: str, drawings: Mapping[str, str]) -> str:
    """The HTML of a block as the page has it: tables scroll, commands are folded, drawings stand in it."""
    if block.type == "table":
        return _table(text)
    if block.type == "fence":
        return f"<details><summary>Commands, in the order in which they ran</summary>\n{text}</details>\n"
    image = _image(block)
    if image is None:
        return text
    picture = themed(drawings[image.attrs["src"]], image.content)
    return f'<figure tabindex="0">{picture}</figure>\n'


def _words(heading: Any) -> str:
    return heading.children[0].content


def _image(block: Any) -> Any:
    """The image that a paragraph consists of; None where it has words."""
    if block.type != "paragraph":
        return None
    inside = block.children[0].children
    if len(inside) == 1 and inside[0].type == "image":
        return inside[0]
    return None


def _opening(section: int, titles: list[str]) -> str:
    """What stands above a section: the end of the one before, and above the second the way to all of them."""
    above = "</section>\n" if section > 1 else ""
    if section == 2:  # below the answer, which is read first
        links = []
        for number, title in enumerate(titles[1:], start=2):
            links.append(f'<a href="#section-{number}">{escape(title)}</a>\n')
        above += f'<nav aria-label="Sections">\n{"".join(links)}</nav>\n'
    return f'{above}<section id="section-{section}">\n'


def _box(label: str, number: str, claim: str) -> str:
    """The beginning of the box around the answer."""
    return (
        f'<div class="answer">\n<p class="what">{label}</p>\n<p class="number">{number}</p>\n'
        f'<p class="claim">{claim}</p>\n'
    )


def _table(table: str) -> str:
    """A table in a box that scrolls; long cells are broken into lines, and many rows are folded."""
    table = re.sub("<td>(.*?)</td>", _cell, table.replace("<th>", '<th scope="col">'))
    table = f'<div class="scroll" tabindex="0">{table}</div>\n'
    # The header is a row, too.
    rows = table.count("<tr>") - 1
    if rows <= FOLDED:
        return table
    header = ", ".join(re.findall("<th [^>]*>(.*?)</th>", table))
    return f"<details><summary>{rows} rows: {header}</summary>\n{table}</details>\n"


def _cell(cell: re.Match[str]) -> str:
    # Only the cell's own letters count: &amp; is one of them.
    if len(unescape(cell[1])) > LONG:
        return f'<td class="long">{cell[1]}</td>'
    return cell[0]
