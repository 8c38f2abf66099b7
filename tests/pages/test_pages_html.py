"""The status page says what the facts say, in words, and nothing that is on a disk is markup."""

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fieldproof_reference.center.losses import Count
from fieldproof_reference.center.pages.facts import DAYS, Day, Facts, Heard, Restored, Site, Tally
from fieldproof_reference.center.pages.html import MOST_ROWS, Plot, page
from fieldproof_reference.center.pages.markup import Html, age, joined, moment, tag
from fieldproof_reference.center.pages.style import NAME, STYLE
from fieldproof_reference.formats.days import DAY_S

NASTY = "\"'><script>alert(1)</script>&amp;\0\ud800"


def facts(kit, text="x", *, days=None, heard=True) -> Facts:
    """Facts with a text at every place that is read from the disk."""
    today = kit.TODAY
    if days is None:
        days = tuple(
            Day(day, Count(1437, network=3), 1440, 3, day < today)
            for day in range(today - DAYS + 1, today + 1)
        )
    newest = Heard(today * DAY_S + 600, today * DAY_S + 540) if heard else None
    site = Site("daws", text, newest, days, 3, text, text)
    when = (today * DAY_S + 75) * 10**9
    restored = (
        Restored(today, "daws", 3, 1140, (text, "repair"), when, True, 0, 0),
        Restored(today - 1, "daws", 0, 0, (), None, False, 2, 1),
    )
    tallies = (Tally(text, 1, 2),)
    return Facts(today, (site,), restored, tallies, tallies, 0)


def page_of(kit, told, plots=None, second=700) -> str:
    return page(told, plots or {}, kit.now(kit.TODAY, second), NAME).decode()


def words_of(markup: str) -> str:
    """What is read, without what is between angles; narrow spaces as spaces."""
    return " ".join(re.sub("<[^>]*>", " ", markup).replace("\u202f", " ").split())


class Shape(HTMLParser):
    """A page's elements with the names of their attributes, in order."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.shape: list[tuple[str, ...]] = []
        self.open: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.shape.append((tag, *(name for name, _ in attrs)))
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag == self.open.pop()


@given(text=st.text(min_size=1))
@example(NASTY)
@example("javascript:alert(1)")
def test_no_text_is_markup(kit, text):
    """Whatever stands in notes and names, the page has the same elements and attributes."""
    plots = {"daws": Plot("products/2006/01/17/daws.png", 1000, 500)}
    shape = Shape(page_of(kit, facts(kit, text), plots))
    assert Shape(page_of(kit, facts(kit, "x"), plots)).shape == shape.shape
    assert [] == shape.open


def test_it_is_text_that_browsers_can_read(kit):
    """What is no character is shown as such: the page is UTF-8 without controls."""
    markup = page_of(kit, facts(kit, NASTY))
    assert "\0" not in markup
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;\ufffd\ufffd" in markup


def test_the_figures(kit):
    """The page tells losses of today and of all days, what was restored, and what is proven."""
    words = words_of(page_of(kit, facts(kit)))
    for said in (
        "Sites live 1 of 1",
        "Lost today 0.21 % 3 of 1 440 records",
        "Lost in 31 days 0.21 % 93 of 44 640 records",
        "Restored 3 records, by reconciliation",
        "Days proven 30 of 30 identical to the edge’s",
        "DAWS live 00:10:00 3 0.21 % 93 0.21 %",
        "Last record 17 Jan 00:09:00 , came 1 min ago",
        "No plot of today yet.",
        "17 Jan DAWS 3 x, repair 17 Jan 00:01 ✓ proven",
        "16 Jan DAWS 0 nothing brought not noted not proven, changed 2 × at the edge, "
        "1 h not at the edge",
        "Reason Today 31 days x 1 2",
        "As of 17 Jan 2006 00:11:40 UTC",
    ):
        assert said in words, said


@pytest.mark.parametrize(
    ("age_s", "state"),
    [(-5, "live"), (180, "live"), (181, "late"), (3600, "late"), (3601, "silent")],
)
def test_how_a_site_does_is_a_word(kit, age_s, state):
    """A site's state is said in a word, by the age of its last record."""
    words = words_of(page_of(kit, facts(kit), second=600 + age_s))
    assert f"DAWS {state} 00:10:00" in words
    assert ("ahead of the clock here" in words) == (age_s < 0)


def test_a_site_that_was_never_heard(kit):
    """Where nothing is known nothing is claimed."""
    nothing = facts(kit, days=(None,) * DAYS, heard=False)
    words = words_of(page_of(kit, nothing._replace(restored=(), quarantined=(), flagged=())))
    assert "DAWS unheard – –" in words
    assert "Last record none in 31 days Lost today not counted yet" in words
    assert "Nothing had to be restored in 31 days." in words
    assert DAYS == words.count("before its first record")


def test_days_that_are_not_counted_yet(kit):
    """A day that is not counted has no number, and the page says how many are to come."""
    days = (*[Day(kit.TODAY - 1, None, 1440, 0, True)] * 30, Day(kit.TODAY, Count(), 0, 0, False))
    words = words_of(page_of(kit, facts(kit, days=days)._replace(days_to_count=30)))
    assert "Not all days are counted yet: 30 to go." in words
    assert 30 == words.count("… not counted yet")


@pytest.mark.parametrize(
    ("lost", "level"), [(0, 0), (1, 1), (7, 1), (8, 2), (28, 2), (29, 3), (143, 3), (144, 4)]
)
def test_the_calendar(kit, lost, level):
    """A day has its number of lost records, a shade for their part, and a mark if it is proven."""
    days = (*[None] * 30, Day(kit.TODAY, Count(1440 - lost, network=lost), 1440, 0, True))
    markup = page_of(kit, facts(kit, days=days))
    calendar = markup[markup.index('class="calendar"') :].partition("</table>")[0]
    cell = f'<td class="l{level}"><time datetime="2006-01-17">17</time>'
    (found,) = re.findall(re.escape(cell) + ".*?</td>", calendar)
    assert f"17 {lost} lost ✓ proven" == words_of(found)


def test_the_calendar_begins_on_the_right_weekday(kit):
    """Days stand below their weekdays: 2006-01-17 was a Tuesday, and the first of a month is
    named."""
    markup = page_of(kit, facts(kit))
    calendar = markup[markup.index('class="calendar"') :].partition("</table>")[0]
    weeks = [re.findall(r"<td.*?</td>", week) for week in calendar.split("<tr>")[2:]]
    places = {
        re.findall(r'datetime="([^"]+)"', cell)[0]: place
        for week in weeks
        for place, cell in enumerate(week)
        if "<time" in cell
    }
    assert {7} == {len(week) for week in weeks}
    assert (1, 6, DAYS) == (places["2006-01-17"], places["2005-12-18"], len(places))
    assert '<time datetime="2006-01-01"><span class="hidden">1 </span>Jan</time>' in calendar


def test_the_strip_says_what_it_shows(kit):
    """The drawing of a month has words for who does not see it."""
    worst = Day(kit.TODAY - 1, Count(0, network=1440), 0, 0, False)
    fine = Day(kit.TODAY, Count(700), 700, 0, False)
    markup = page_of(kit, facts(kit, days=(*[None] * 29, worst, fine)))
    (strip,) = re.findall(r"<svg.*?</svg>", markup)
    assert "1 day with a loss, at most 100.00 % on 16 Jan" == words_of(strip)
    assert 31 == strip.count("<rect")
    assert 'height="24" class="lost"' in strip


def test_a_plot_has_words_and_a_size(kit):
    """A plot is shown with a text for who does not see it, and its size before it is there."""
    plots = {"daws": Plot("products/2006/01/17/daws.png", 1000, 500)}
    (image,) = re.findall("<img[^>]*>", page_of(kit, facts(kit), plots))
    assert 'alt="Plot of DAWS on 17 Jan: volts, quiet day and absorption against UT"' in image
    assert 'width="1000" height="500"' in image
    (image,) = re.findall("<img[^>]*>", page_of(kit, facts(kit), {"daws": Plot("p", 0, 0)}))
    assert "width" not in image


def test_the_history_ends(kit):
    """A month in which everything was restored does not make the page endless."""
    one = facts(kit).restored[0]
    markup = page_of(kit, facts(kit)._replace(restored=(one,) * (MOST_ROWS + 5)))
    assert MOST_ROWS == markup.count('aria-label="17 Jan, notes"')
    assert "5 more in provenance/." in markup


def test_nothing_comes_from_elsewhere(kit):
    """The page and its style name no other host, and the page has no script and no style of its
    own."""
    markup = page_of(kit, facts(kit))
    assert not re.findall(r"(?:https?:)?//", markup.replace("<!doctype", ""))
    assert not re.findall(r"<script|<style| style=| on\w+=", markup)
    assert not re.findall(r"url\(|@import", STYLE)


@pytest.mark.parametrize(
    ("span_s", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (12_000, "3 h 20 min"),
        (DAY_S, "1 d 0 h"),
        (DAY_S * 400 + 7200, "400 d 2 h"),
    ],
)
def test_an_age_is_cut(span_s, text):
    """Ages are in the largest units that fit."""
    assert text == age(span_s).replace("\u202f", " ")


def test_markup_is_made_by_tags_alone():
    """Text is escaped wherever it is put; attributes that are not, or are empty, are left out."""
    assert '<a href="&quot;">&lt;b&gt;</a>' == tag("a", "<b>", href='"', class_="", hidden=False)
    assert "<b>1</b>&amp;" == joined((tag("b", 1), "&"))
    assert '<img alt="" width="0">' == tag("img", alt="", width=0)
    assert isinstance(tag("b"), Html)
    assert "17 Jan 00:00:00" in moment(13165 * DAY_S)


def test_facts_are_values(kit):
    """Facts can be compared and written down: a page is a function of them."""
    assert facts(kit) == facts(kit)
    assert json.dumps(facts(kit)) == json.dumps(facts(kit))
    assert page_of(kit, facts(kit)) == page_of(kit, facts(kit))
