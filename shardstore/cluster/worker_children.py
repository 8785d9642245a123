"""The workers that the supervisor runs: those that the router wants, which may change at any time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from shardstore.cluster.child import Child
from shardstore.cluster.child_process import Happening
from shardstore.cluster.cpu_affinity import cores_of, pin
from shardstore.cluster.endpoints import Endpoints
from shardstore.cluster.settings import ClusterSettings, memory_share, usable_cores
from shardstore.identifiers import DirectoryIdentity
from shardstore.memory_plan import MemoryPlan, derive, plan_of_worker
from shardstore.options import WorkerOptions

log = logging.getLogger("shardstore.cluster")


class WorkerChildren:
    """The workers by number: those that are wanted, and those that are no longer wanted but have not ended yet."""

    def __init__(
        self,
        module: str,
        settings: ClusterSettings,
        store: str,
        directory: DirectoryIdentity,
        endpoints: Endpoints,
        post: Callable[[Happening], None],
    ) -> None:
        self._module = module
        self._settings = settings
        self._store = store
        self._directory = directory
        self._endpoints = endpoints
        self._post = post
        self._cores = usable_cores()
        self._children: dict[int, Child] = {}
        self._wanted: frozenset[int] = frozenset()
        self._plan: MemoryPlan | None = None
        self._first: frozenset[int] = frozenset()
        self._most = 0

    def __iter__(self) -> Iterator[Child]:
        return iter([child for _, child in sorted(self._children.items())])

    @property
    def are_known(self) -> bool:
        """Whether the router has reported which workers it wants."""
        return bool(self._wanted)

    def want(self, workers: Sequence[int], now_ns: int, kill_ns: int) -> None:
        """Set the workers that must run: missing ones will be started, and others must end by `kill_ns`.

        The budget is divided among the first workers that were wanted. Later workers have the same limits, but their
        lease begins at 0. Raises InvalidRequest if the budget is too small for the first workers.
        """
        if self._plan is None:
            memory_share(self._settings.memory, len(workers))
            self._plan, self._first = derive(self._settings.memory, len(workers)), frozenset(workers)
        self._wanted = frozenset(workers)
        self._first &= self._wanted
        self._most = max(self._most, len(workers))
        for worker, child in self._children.items():
            if worker not in self._wanted and not child.dismissed:
                child.dismiss(kill_ns)
                log.info("%s is to end", child.name)
        self.adjust(now_ns)

    def adjust(self, now_ns: int) -> None:
        """Remove workers that have left and ended; add missing ones. A number is free once its process has ended."""
        for worker, child in list(self._children.items()):
            if child.dismissed and child.process is None:
                del self._children[worker]
                log.info("%s has left", child.name)
        for worker in sorted(self._wanted - self._children.keys()):
            child = Child(f"worker-{worker}", self._module, self._options(worker), self._post)
            child.due_ns = now_ns
            self._children[worker] = child
        for worker in self._wanted:
            self._children[worker].options = self._options(worker)
        self.pin()

    def move(self, endpoints: Endpoints, now_ns: int) -> None:
        """Start workers with these endpoints from now on."""
        self._endpoints = endpoints
        self.adjust(now_ns)

    def pin(self) -> None:
        """Pin each serving worker to its core. A worker that is added or removed may change the cores of others."""
        wanted = [(worker, child) for worker, child in sorted(self._children.items()) if worker in self._wanted]
        for at, (_, child) in enumerate(wanted):
            if child.process is not None and child.endpoint:
                pin(child.process.pid, cores_of(at, len(wanted), self._cores))

    def _options(self, worker: int) -> WorkerOptions:
        assert self._plan is not None, "the router has reported which workers it wants"
        plan = plan_of_worker(self._plan, worker in self._first, self._most)
        return WorkerOptions(
            data=self._settings.data,
            store=self._store,
            worker=worker,
            router=self._endpoints.workers,
            listen=self._endpoints.worker(worker),
            durability=self._settings.durability,
            memory=plan,
            segments=self._settings.segments,
            access=self._endpoints.access,
            identity=self._directory,
            board=self._endpoints.board(worker),
            remote=self._endpoints.remote_worker(worker),
        )
