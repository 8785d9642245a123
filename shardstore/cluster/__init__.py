"""The cluster shell: the supervisor, the processes it keeps alive, and the directories they meet in."""
