"""The look of the pages: one style sheet, served by a name that changes with it.

Colours are said once, for light and for dark; text has a contrast of at least 4.5 to what is behind
it, and nothing is told by colour alone. Nothing is wider than the narrowest phone (320 px).
"""

from hashlib import sha256

STYLE = """\
:root {
  color-scheme: light dark;
  --paper: #fbfaf7; --sheet: #ffffff; --ink: #1b2026; --soft: #565e67; --line: #dcd8cf;
  --link: #0a4f8f; --good: #23683a; --warn: #8a4b00; --bad: #9c2321;
  --l1: #f6ebcf; --l2: #efd094; --l3: #e0a15a; --l4: #a84424; --on4: #ffffff;
  --sans: "Helvetica Neue", "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
  --serif: Charter, "Bitstream Charter", "Source Serif 4", Georgia, "Liberation Serif", serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --sheet: #1b1f23; --ink: #e7e5df; --soft: #a3abb3; --line: #343a40;
    --link: #8fc1f5; --good: #83cf9a; --warn: #f0b265; --bad: #f59a8f;
    --l1: #322c1c; --l2: #4e3f1a; --l3: #7c4f16; --l4: #e59a62; --on4: #17120c;
  }
}
* { box-sizing: border-box; }
html { font: 100%/1.5 var(--sans); -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 80rem; padding: 1.5rem 1rem 3rem; background: var(--paper);
  color: var(--ink); font-variant-numeric: tabular-nums; overflow-wrap: break-word;
}
h1, h2, h3 { font-family: var(--serif); font-weight: 600; line-height: 1.2; margin: 0; }
h1 { font-size: 2rem; letter-spacing: -0.01em; }
h2 { font-size: 1.4rem; margin: 2.5rem 0 0.5rem; }
h3 { font-size: 1.25rem; letter-spacing: 0.04em; }
p { margin: 0.25rem 0; }
a { color: var(--link); text-underline-offset: 0.15em; text-decoration-thickness: 1px; }
a:hover { text-decoration-thickness: 2px; }
a:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 2px; }
:target { scroll-margin-top: 1rem; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 0.5rem; background: var(--sheet); padding: 0.5rem; z-index: 1; }
.hidden {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap;
}
.asof, .key, .counting { color: var(--soft); }
small, .when, .none { color: var(--soft); font-size: 0.85em; }
.when, small, .count { white-space: nowrap; }

.figures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 1px;
  margin: 1.25rem 0 0; background: var(--line); border: 1px solid var(--line);
}
.figures div { background: var(--sheet); padding: 0.75rem 1rem; }
.figures dt { color: var(--soft); font-size: 0.85rem; }
.figures dd { margin: 0; }
.figures strong { display: block; font: 600 1.5rem/1.3 var(--serif); white-space: nowrap; }
.figures span { color: var(--soft); font-size: 0.8rem; }

table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--soft); font-size: 0.85rem; padding: 0 0 0.4rem; }
th, td { text-align: left; padding: 0.4rem 0.75rem 0.4rem 0; vertical-align: baseline; }
thead th { color: var(--soft); font-size: 0.8rem; font-weight: 500; vertical-align: bottom; }
thead tr { border-bottom: 1px solid var(--ink); }
tbody tr { border-bottom: 1px solid var(--line); }
tbody th { font-weight: 600; }
.sites tbody th { white-space: nowrap; }
.tallies td, .tallies thead th + th, .files td, .files thead th + th,
.history td:nth-child(3), .history th:nth-child(3) { text-align: right; }
.tallies td:last-child, .tallies th:last-child { padding-right: 0; }

.dot {
  display: inline-block; width: 0.65rem; height: 0.65rem; margin-right: 0.45rem;
  border: 2px solid currentColor; border-radius: 50%;
}
.dot.live { background: currentColor; color: var(--good); }
.dot.late { background: linear-gradient(90deg, currentColor 50%, transparent 50%);
  color: var(--warn); }
.dot.silent { border-radius: 0; color: var(--bad); }
.dot.unheard { border-style: dotted; color: var(--soft); }
.state.live { color: var(--good); } .state.late { color: var(--warn); }
.state.silent { color: var(--bad); } .state.unheard { color: var(--soft); }
.strip { display: block; }
.strip .lost { fill: var(--bad); } .strip .whole { fill: var(--good); }
.strip .unknown { fill: var(--line); }

.legend { display: inline-flex; font-size: 0.75rem; border: 1px solid var(--line); }
.legend span { padding: 0.1rem 0.5rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr));
  gap: 1rem; margin-top: 1rem; }
.card { background: var(--sheet); border: 1px solid var(--line); padding: 0.9rem 1rem 1rem;
  display: flex; flex-direction: column; min-width: 0; }
.card header { display: flex; justify-content: space-between; align-items: baseline; }
.card .state { font-size: 0.9rem; }
.card figure { margin: 0.5rem 0; }
.card img { display: block; width: 100%; height: auto; background: #ffffff; }
.noplot { display: grid; place-items: center; min-height: 5rem; margin: 0.5rem 0;
  border: 1px dashed var(--line); color: var(--soft); font-size: 0.9rem; }
.card dl { margin: 0.75rem 0 0; font-size: 0.85rem; }
.card dl div { display: grid; grid-template-columns: 7.2em 1fr; padding: 0.12rem 0; }
.card dt { color: var(--soft); }
.card dd { margin: 0; }
.links { margin-top: auto; padding-top: 0.75rem; font-size: 0.85rem; display: flex;
  flex-wrap: wrap; gap: 0.25rem 1rem; }

.calendar { table-layout: fixed; border-spacing: 2px; border-collapse: separate;
  margin: 0.25rem -2px 0; width: calc(100% + 4px); }
.calendar caption { padding: 0 2px; }
.calendar th { padding: 0; text-align: center; font-size: 0.7rem; }
.calendar abbr { text-decoration: none; }
.calendar td { position: relative; height: 2.6rem; padding: 0.1rem 0.25rem; vertical-align: top;
  background: var(--paper); }
.calendar td:empty { background: none; }
.calendar time { display: block; font-size: 0.65rem; line-height: 1.3; white-space: nowrap; }
.calendar .lost { display: block; text-align: right; font-weight: 600; font-size: 0.9rem;
  line-height: 1.2; }
.calendar b { position: absolute; top: 0; right: 0.2rem; font-size: 0.7rem; }
.calendar .l0 .lost, .calendar .no { font-weight: 400; color: var(--soft); }
.l1 { background: var(--l1) !important; } .l2 { background: var(--l2) !important; }
.l3 { background: var(--l3) !important; }
.l4 { background: var(--l4) !important; color: var(--on4); }

.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
  gap: 1.5rem 3rem; }
.pair > table { align-self: start; }
footer { margin-top: 3rem; border-top: 1px solid var(--ink); font-size: 0.9rem;
  color: var(--soft); }
footer h2 { margin-top: 1rem; font-size: 1.1rem; color: var(--ink); }
footer ul { list-style: none; padding: 0; margin: 0.5rem 0 1rem; columns: 22rem; }
footer li { padding: 0.15rem 0; }
.trail { display: flex; flex-wrap: wrap; list-style: none; margin: 0 0 0.5rem; padding: 0; }
.trail li + li::before { content: "/"; padding: 0 0.4rem; color: var(--soft); }
.files { width: auto; min-width: min(100%, 32rem); }
.files th { overflow-wrap: anywhere; font-weight: 400; }

@media (max-width: 52rem) {
  .sites tr > :last-child { display: none; }
}
@media (max-width: 30rem) {
  body { padding-top: 1rem; }
  h1 { font-size: 1.6rem; }
  .figures { grid-template-columns: 1fr 1fr; }
  .figures div:first-child { grid-column: 1 / -1; }
  .figures strong { font-size: 1.25rem; }
  .sites, .history, .tallies { font-size: 0.85rem; }
  .sites small { display: block; }
  th, td { padding-right: 0.4rem; }
}
@media print {
  :root { color-scheme: light; --paper: #ffffff; --sheet: #ffffff; --ink: #000000;
    --soft: #444444; --line: #bbbbbb; --link: #000000; --good: #1d5c31; --warn: #7a4200;
    --bad: #8f1f1d; --l1: #f6ebcf; --l2: #efd094; --l3: #e0a15a; --l4: #a84424; --on4: #ffffff; }
  html { font-size: 75%; }
  body { max-width: none; padding: 0; }
  .skip { display: none; }
  .card, tr, figure { break-inside: avoid; }
  h2, caption { break-after: avoid; }
  .cards { grid-template-columns: repeat(3, 1fr); }
  .l1, .l2, .l3, .l4, .dot, .strip { print-color-adjust: exact; }
}
"""

NAME = f"style-{sha256(STYLE.encode()).hexdigest()[:12]}.css"
"""What it is served as: it may be kept for good."""

ICON = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6" \
fill="#0a4f8f"/><path d="M3 20h6l3-9 4 14 4-18 3 13h6" fill="none" stroke="#fff" stroke-width="2.5"\
 stroke-linejoin="round" stroke-linecap="round"/></svg>
"""
