"""Resolves a change of a store that is not served; the next start carries that out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shardstore.doctor.findings import Finding, Kind
from shardstore.doctor.survey import Survey
from shardstore.errors import InvalidRequest
from shardstore.files import file_names
from shardstore.router.resolutions import losses, resolved
from shardstore.router.route_table import RouteTable
from shardstore.seams.filesystem import Filesystem
from shardstore.wire.admin_messages import Loss
from shardstore.wire.topology import Change, Resolution

_OF_LOGS = (Kind.LOG, Kind.RECORD)


@dataclass(frozen=True, slots=True)
class Planned:
    """A resolution that was not published yet: the change, what takes its place, and what that may lose."""

    change: Change
    following: list[Change]
    losses: list[Loss]

    def publish(self, filesystem: Filesystem, survey: Survey) -> None:
        """Make it durable. Raises StorageFailure."""
        assert survey.topology is not None, "a change of no map"
        RouteTable(filesystem, survey.store, survey.topology).publish_resolution(self.change, self.following)

    def settles(self, finding: Finding) -> bool:
        """Whether nothing needs any more what is found."""
        abandoned = [each.segment for change in self.following for each in change.abandoned]
        directories = tuple(f"{file_names.segment_directory(segment)}/" for segment in abandoned)
        is_of_change = finding.kind is Kind.CHANGE and finding.what.startswith(f"change {self.change.number},")
        return is_of_change or finding.file.startswith(directories or ("//",))


def plan_resolution(survey: Survey | None, findings: Iterable[Finding], number: int, how: Resolution) -> Planned:
    """Plan the resolution of a change. Raises InvalidRequest if there is no such change, or it cannot be done."""
    changes = survey.topology.changes if survey and survey.topology else ()
    change = next((each for each in changes if each.number == number), None)
    if survey is None or survey.topology is None or change is None:
        raise InvalidRequest(f"there is no change {number} under way that can be read")
    findings = list(findings)
    stuck = [parent.segment for parent in change.kept_parents if _is_damaged(parent.segment, parent.worker, findings)]
    if how is Resolution.COMPLETE and not stuck:
        raise InvalidRequest(f"nothing was found that keeps change {number} from going on; it needs no resolution")
    following = resolved(survey.topology, change, how, stuck)
    return Planned(change, following, losses(change, following, [], may_hold_writes=True))


def _is_damaged(segment: int, worker: int, findings: Iterable[Finding]) -> bool:
    """Whether something is wrong with the files of a segment, or with the log of its owner."""
    files, log = f"{file_names.segment_directory(segment)}/", file_names.worker_directory(worker)
    return any(
        (each.file.startswith(files) and not each.is_harmless) or (each.kind in _OF_LOGS and each.file.startswith(log))
        for each in findings
    )
