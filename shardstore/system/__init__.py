"""The real forms of the seams, and most other code that calls the operating system.

posix_filesystem.py   the files of a store
board_files.py        the boards of workers
system_clock.py       time
system_entropy.py     random numbers
socket_transport.py   messages: all links of a process, served by one epoll
  readiness.py          epoll
  zmq_links.py          connected links over ZeroMQ
  stream_links.py       connected links over Unix stream sockets
  listener.py           a bound link, with many peers
    door.py               accepts connections at one endpoint
    traffic.py            limits the memory that the peers of a listener take
    zmtp.py               the server's side of the ZeroMQ protocol
    curve_stream.py       the same, encrypted and authenticated
    stream.py             messages over one stream socket
  socket_file.py        the file of a listening socket
event_loop.py         passes events to a core and executes its effects
process.py            start checks, reports and stop signals of a child process
process_identity.py   identifies a process beyond its process id
watched_process.py    what a parent observes of a child process
own_program.py        starts a process of this project
running_cluster.py    ENDPOINT: where the cluster of a data directory listens
"""
