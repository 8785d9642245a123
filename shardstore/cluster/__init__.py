"""The processes of a cluster: the supervisor, what it starts, and the directories where they meet.

local_cluster.py       `LocalCluster`: a cluster inside a program
serve.py               a cluster as the main program
settings.py            what a cluster is started with
supervisor.py          starts router and workers, restarts what dies, stops them in order
  child.py               one member of the cluster, over all its runs
  child_process.py       one run of a child process
  worker_children.py     the workers, as many as the router wants
  restart_policy.py      when a process that died is started again
  pinning.py             a core for each worker
  orphans.py             exit codes of processes whose parents are gone
  fork_guard.py          what a fork of this process must not keep
data_directory.py      the lock and the identity of a data directory
store.py               STORE: what a data directory is
endpoints.py           where the processes of a cluster listen
runtime_directory.py   the private directory of the sockets
socket_place.py        sockets in a place of the operator's choice
"""
