"""Who may use a store over tcp, and what they may do there. docs/security.md tells what is protected.

rights.py        the operations of each role
key_list.py      KEYS: the public keys that are let in, with their names and roles
key_files.py     the files with secret keys: of the server, and of each client
private_files.py reads and makes files that only this user may read
client_keys.py   reads the key of a client
key_store.py     makes, lists and revokes the keys of a data directory
curve.py         the server's side of a CURVE connection
doorkeeper.py    knows which keys are let in now, as KEYS changes
"""
