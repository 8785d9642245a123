"""The examination of a whole store, step by step."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress

from shardstore.cluster.store import read_store
from shardstore.doctor.checks import Check, checks_of
from shardstore.doctor.diagnosis import Diagnosis
from shardstore.doctor.findings import Kind, of_error
from shardstore.doctor.log import findings_in_log, log_bytes
from shardstore.doctor.side_by_side import done_checks
from shardstore.doctor.spaces import findings_in_registry
from shardstore.doctor.strays import strays_in
from shardstore.doctor.survey import UNREADABLE, Survey, survey_of
from shardstore.files import file_names
from shardstore.router.route_table import store_in_routes
from shardstore.seams.filesystem import Filesystem


class Examination:
    """The examination of the store in a directory; `checks` is what takes time. `diagnosis` grows while it runs."""

    def __init__(self, filesystem: Filesystem, data: str) -> None:
        self._filesystem = filesystem
        self._data = data
        self.diagnosis = Diagnosis()
        self.survey = _surveyed(filesystem, self.diagnosis)
        self.checks = checks_of(filesystem, self.survey) if self.survey else []

    @property
    def workers(self) -> tuple[int, ...]:
        """The workers of the store, as far as they are known."""
        return self.survey.workers if self.survey else ()

    def run(self, processes: int) -> Iterator[Check]:
        """Do all checks, and return each that is done."""
        survey, diagnosis = self.survey, self.diagnosis
        if survey is None:
            return
        for check, findings in done_checks(self._filesystem, self._data, survey, self.checks, processes):
            diagnosis.findings += findings
            diagnosis.files += 1
            diagnosis.bytes += check.bytes
            yield check
        diagnosis.findings += strays_in(self._filesystem, survey)
        if not diagnosis.serious:  # otherwise the registry may be incomplete, and the files say why
            self._examine_registry(survey)
        diagnosis.sort()

    def _examine_registry(self, survey: Survey) -> None:
        try:
            self.diagnosis.findings += findings_in_registry(self._filesystem, survey)
        except UNREADABLE as error:
            self.diagnosis.findings.append(of_error(Kind.SPACES, file_names.SEGMENTS, error))


def examined_logs(filesystem: Filesystem, workers: Collection[int]) -> Diagnosis:
    """Examine the logs of these workers alone."""
    diagnosis = Diagnosis()
    survey = _surveyed(filesystem, diagnosis)
    if survey is None:
        return diagnosis
    about_logs = (Kind.IDENTITY, Kind.LOG)
    diagnosis.findings = [each for each in diagnosis.findings if each.kind in about_logs]
    for number in survey.logs:
        if number in workers:
            diagnosis.findings += findings_in_log(filesystem, survey, number)
            diagnosis.files += 1
            diagnosis.bytes += log_bytes(filesystem, number)
    diagnosis.sort()
    return diagnosis


def _surveyed(filesystem: Filesystem, diagnosis: Diagnosis) -> Survey | None:
    """The survey, whose findings go into the diagnosis; None if nothing says which store this is."""
    store = None
    try:
        found = read_store(filesystem)
        store = found.store if found else None
    except UNREADABLE as error:
        diagnosis.findings.append(of_error(Kind.IDENTITY, file_names.STORE, error))
        with suppress(*UNREADABLE, FileNotFoundError):
            store = store_in_routes(filesystem)
    if store is None:
        return None
    survey = survey_of(filesystem, store)
    diagnosis.findings += survey.findings
    return survey
