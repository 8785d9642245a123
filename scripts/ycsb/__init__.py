"""The YCSB core workloads against a shardstore cluster or a Redis server.

command.py          the command line
  run.py            one phase: starts client processes and merges their figures; programs call `run_phase`
    client_process.py    one client process: opens the store, runs its threads or tasks, sends figures every second
      loops.py           the measured loops, for threads and for tasks
        plans.py           the calls of a runner: distributions.py, keys.py, values.py, workloads.py
        store.py           the functions called: shardstore_store.py, redis_store.py; opened by opening.py
        answers.py         checks of the data that was read
        samples.py         the times and faults of calls
          latencies.py       HDR histograms
    measured.py          the figures of all processes
  report.py, table.py, progress.py    show them

A *runner* is a thread or an asyncio task that makes one call at a time. A *call* is one operation, or with --batch
several operations of one kind in one request.
"""
