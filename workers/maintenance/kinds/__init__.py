"""The kinds of jobs, each a JobKind: when one is due, and what follows from its end.

drains.py        runs become tables
compactions.py   some layers of a segment become one
releases.py      files that nothing needs are removed
adoptions.py     children of topology changes get files of their own
retirements.py   segments that are not served any more are removed
"""
