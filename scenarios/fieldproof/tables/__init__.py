"""Comparisons that are measured anew each time: several runs, one table.

captures.py    what an exchange cost, from the captures of a run
entropy.py     how few bytes would do
reconcile.py   the ways to make days whole, side by side
text.py        a table as Markdown and as JSON
plot.py        ... as a picture
command.py     `fieldproof table NAME`
"""
