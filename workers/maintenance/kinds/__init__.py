"""The kinds of jobs, each a JobKind: when one is due, and what follows from its end.

job_kind.py           the interface of a kind of job
job_slot.py           runs jobs one after the other
barriers.py           requests that wait for a flush or a compaction
drains.py             write runs into tables
compactions.py        merge some layers of a segment into one
releases.py           remove files that nothing needs
materialisations.py   give children of topology changes files of their own
retirements.py        remove segments that are not served any more
"""
