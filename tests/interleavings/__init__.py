"""Direct reads beside all that changes a range, in every order of their steps.

Both sides are the real code: a cluster of cores of the router and of workers, with their jobs, on a simulated disk; and
a Reader. Writers never wait for a reader. So a case is recorded once as a history, and the reader is run again and
again, until each of its loads has found each value that it could find there; loads.py says why that is every order.
Where a job runs beside the worker, or the worker is killed, each step at which that can happen is a history of its own.

To keep cases small, boards have one or two slots and filters, one key is read (two by `get_many`), at most three reads
follow each other, and nothing of the second read is repeated for equal states after the first one. The bytes that numpy
changes at once are stored in ascending order.

history.py             the steps of the writers, and what each place holds after each of them
recorded_boards.py     the boards seam of workers, whose stores are steps
recorded_cluster.py    a cluster whose stores, files, replies and routes are steps
cases.py               what the cluster does
exploration.py         runs code with all choices
loads.py               the loads of a reader, each of which is a choice
read_boards.py         the boards seam of a reader
read_files.py          the filesystem seam of a reader
read_segment.py        a segment that is quick to open again
direct_client.py       the reader, and what its reads may find
setting.py             what tests of this folder replace in the product
"""
