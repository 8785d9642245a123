"""The YCSB core workloads against a shardstore cluster or a Redis server.

command.py          the command line
  run.py            one phase: starts client processes, merges what they measured; programs begin at `run_phase`
    client_process.py    one client process: opens the store, runs its threads or tasks, sends figures every second
      loops.py           the measured loops, for threads and for tasks
        plans.py           which calls a runner makes: distributions.py, keys.py, values.py, workloads.py
        store.py           what is called: shardstore_store.py, redis_store.py, by way of opening.py
        answers.py         whether what came back is right
        samples.py         the times of calls, and what went wrong
          latencies.py       HDR histograms
    measured.py          the figures of all processes together
  report.py, table.py, progress.py    what is shown of them

A *runner* is a thread or an asyncio task that makes one call at a time. A *call* is one operation, or with --batch
several operations of one kind in one request.
"""
