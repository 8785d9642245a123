"""Protocols through which a core reaches the outside world. Each has a real form in `system/` and a simulated one.

clock.py         time
entropy.py       random numbers
filesystem.py    the files of one store
boards.py        shared memory in which workers say what clients may read themselves
transport.py     messages between processes
effects.py       events that a core handles, and effects that it asks for
"""
