"""What a core needs of the world around it, as protocols. Each has a real form in `system/` and a simulated one.

clock.py         time
entropy.py       random numbers
filesystem.py    the files of one store
transport.py     messages between processes
effects.py       events that reach a core, and effects that it asks for
"""
