"""The processes of a cluster: the supervisor, its child processes, and the directories that they share.

local_cluster.py       `LocalCluster`: a cluster inside a program
serve.py               a cluster as the main program
settings.py            the settings with which a cluster starts
supervisor.py          starts router and workers, restarts them when they die, stops them in order
  child.py               one member of the cluster, over all its runs
  child_process.py       one run of a child process
  worker_children.py     the workers, as many as the router wants
  restart_policy.py      when a process that died is started again
  cpu_affinity.py        pins each worker to a core
  orphans.py             collects exit codes of orphaned processes
  fork_guard.py          releases locks and pipes in forks of this process
data_directory.py      the lock and the identity of a data directory
store.py               STORE: identity and fixed settings of a store
endpoints.py           where the processes of a cluster listen
runtime_directory.py   the private directory of the sockets
socket_place.py        sockets at a path of the operator's choice
"""
