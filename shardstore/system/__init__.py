"""The real forms of the seams, and everything else that touches the operating system.

posix_filesystem.py   the files of a store
system_clock.py       time
system_entropy.py     random numbers
socket_transport.py   messages: all links of a process behind one epoll
  readiness.py          epoll
  zmq_links.py          connected links over ZeroMQ
  stream_links.py       connected links over Unix stream sockets
  listener.py           a bound link, with many peers
    traffic.py            what the peers of a listener hold in memory
    zmtp.py               the server's side of ZeroMQ's protocol
    stream.py             messages over one stream socket
  socket_file.py        where a process listens in the file system
event_loop.py         feeds a core events and executes its effects
process.py            what every child process does about its own life
process_identity.py   which process is meant by a number
watched_process.py    what a process shows to the one that started it
own_program.py        how this project starts a process of its own
running_cluster.py    ENDPOINT: where the cluster of a data directory listens
"""
