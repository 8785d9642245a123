"""The kinds of jobs, each a JobKind: when one is due, and what follows from its end.

drains.py        write runs into tables
compactions.py   merge some layers of a segment into one
releases.py      remove files that nothing needs
adoptions.py     give children of topology changes files of their own
retirements.py   remove segments that are not served any more
"""
