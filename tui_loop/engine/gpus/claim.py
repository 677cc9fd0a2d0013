"""Claims free GPUs for a run, and says whose the others are.

A GPU is free if this process may use it, enough of its memory is free, and no other run has locked
it. Where it cannot be locked, a GPU that any process uses counts as taken.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec

from tui_loop.core.commands import command
from tui_loop.core.config.schema import Run
from tui_loop.core.errors import BadInput
from tui_loop.core.text.figures import counted, duration
from tui_loop.core.text.untrusted import one_line
from tui_loop.engine.gpus.listing import Gpu, GpuProcess, GpusUnreadable, list_gpus, named
from tui_loop.engine.gpus.locks import GpuLock, NoLock, acquire, is_locked, owner_of
from tui_loop.engine.gpus.share import VISIBLE, share_of
from tui_loop.engine.launch import original_environment

LEAST_FREE = 0.5
"""A GPU of whose memory so much is free counts as free, where nothing is known about the need."""

POLL_SECONDS = 1.0
SHOWN_PROCESSES = 3
OTHER_RUN = "locked by another run"
_FIGURES = re.compile(r", for [\w ]+\)|[\d.]+ GiB of [\d.]+ GiB")
"""What changes all the time in the words on a taken GPU."""
NAME_CELLS = 30


class GpuRequest(msgspec.Struct, frozen=True):
    """Which GPUs a run wants: `count` free ones, or those that `entries` name."""

    count: int = 1
    entries: tuple[str, ...] = ()


class Taken(msgspec.Struct, frozen=True):
    """A GPU that is not free, and why."""

    gpu: Gpu
    why: str

    def __str__(self) -> str:
        return f"GPU {self.gpu.index}: {self.why}"


class NoneFree(BadInput):
    """Fewer GPUs are free than a run wants; `taken` says whose the others are."""

    def __init__(self, count: int, taken: Sequence[Taken]) -> None:
        few = "no GPU is" if count == 1 else f"fewer than {count} GPUs are"
        super().__init__(
            f"run.gpus: {few} free: {'; '.join(map(str, taken))}",
            "--set run.gpu_wait=unset waits until enough are free",
        )
        self.taken = tuple(taken)


class GpuClaim:
    """The GPUs of a run, locked until `release`."""

    def __init__(self, gpus: Sequence[Gpu], locks: Sequence[GpuLock]) -> None:
        self.gpus, self._locks = tuple(gpus), tuple(locks)

    def release(self) -> None:
        """Gives the GPUs back; a second call does nothing."""
        for lock in self._locks:
            lock.release()


def request_of(run: Run) -> GpuRequest | None:
    """Returns which GPUs a config wants, None where it wants none."""
    if run.device not in ("auto", "cuda"):
        return None
    if isinstance(run.gpus, list):
        return GpuRequest(len(run.gpus), tuple(map(str, run.gpus)))
    return GpuRequest(run.gpus or 1)


def uses_cuda() -> bool:
    """Whether the installed PyTorch is built for CUDA; it is not imported for that."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    try:
        text = (Path(spec.origin).parent / "version.py").read_text()
    except OSError:
        return False
    return re.search(r"^cuda\b[^=\n]*= *['\"]", text, re.MULTILINE) is not None


def checked_request(run: Run) -> GpuRequest | None:
    """Returns which GPUs a config wants, None where this machine has none that PyTorch can use.

    Raises BadInput where the config asks for GPUs that there are not.
    """
    request = request_of(run)
    if request is None:
        return None
    problem = "" if uses_cuda() else "the installed PyTorch is not built for CUDA"
    if not problem:
        try:
            if usable_gpus() or (run.gpus is not None and list_gpus()):
                return request
            problem = "this machine has no NVIDIA GPU"
        except GpusUnreadable as fault:
            problem = fault.message
    if run.gpus is not None:
        raise BadInput(f"run.gpus: {problem}", "--set run.gpus=unset")
    return None


def usable_gpus() -> list[Gpu]:
    """Returns the GPUs that this process may use; raises GpusUnreadable."""
    return share_of(list_gpus(), original_environment())


def claim(request: GpuRequest, run: str, among: Sequence[Gpu] = ()) -> GpuClaim:
    """Claims GPUs for `run`, its `LOOP/N`, those without any process first.

    `among`: the GPUs that this process is fixed to, if it is. Raises NoneFree, GpusUnreadable, and
    BadInput for a request that these GPUs can never meet.
    """
    fixed = {gpu.uuid for gpu in among}
    suitable = [gpu for gpu in candidates(request) if not fixed or gpu.uuid in fixed]
    if fixed:  # CUDA counts them in this order
        order = [gpu.uuid for gpu in among]
        suitable.sort(key=lambda gpu: order.index(gpu.uuid))
    locks: list[GpuLock] = []
    claimed: list[Gpu] = []
    taken: list[Taken] = []
    for gpu in suitable:
        if len(claimed) == request.count:
            break
        lock: GpuLock | None = None
        why = _memory_taken(gpu)
        if not why:
            try:
                lock = acquire(gpu.uuid, run)
                why = "" if lock is not None else _owner(gpu) or OTHER_RUN
            except NoLock as fault:
                why = f"{_users(gpu.processes)} ({fault})" if gpu.processes else ""
        if why:
            taken.append(Taken(gpu, why))
            continue
        claimed.append(gpu)
        if lock is not None:
            locks.append(lock)
    got = GpuClaim(claimed, locks)
    if len(claimed) < request.count:
        got.release()  # else two runs could each hold a part of what both need
        raise NoneFree(request.count, sorted(taken, key=lambda each: each.gpu.index))
    return got


def claim_in_time(
    request: GpuRequest,
    run: str,
    minutes: float | None,
    *,
    among: Sequence[Gpu] = (),
    poll: Callable[[], None],
    waits: Callable[[NoneFree], None],
) -> GpuClaim:
    """Claims GPUs, and waits for them up to `minutes`, without a limit where that is None.

    `waits` is called whenever other GPUs are taken than before, `poll` every second; what they
    raise ends the wait. Raises NoneFree after the time, and what `claim` raises.
    """
    ends = None if minutes is None else time.monotonic() + 60 * minutes
    announced = ""
    while True:
        try:
            return claim(request, run, among)
        except NoneFree as fault:
            if ends is not None and time.monotonic() >= ends:
                raise
            if (now := _FIGURES.sub("", str(fault))) != announced:
                announced = now
                waits(fault)
        poll()
        left = POLL_SECONDS if ends is None else ends - time.monotonic()
        time.sleep(min(max(left, 0.0), POLL_SECONDS))


def use_of(gpu: Gpu) -> str:
    """Says why a GPU is not free, "" where it is."""
    return _memory_taken(gpu) or _owner(gpu)


def candidates(request: GpuRequest) -> list[Gpu]:
    """Returns the GPUs that may be claimed, in order of preference; raises BadInput."""
    every = list_gpus()
    share = share_of(every, original_environment())
    if request.entries:
        found = [_named(entry, every, share) for entry in request.entries]
        if len(set(found)) < len(found):
            raise BadInput("run.gpus: names a GPU twice", "name each GPU once")
        return found
    if request.count > len(share):
        raise BadInput(
            f"run.gpus: {request.count} GPUs are wanted, but {_share_text(every, share)}",
            f"--set run.gpus={len(share)}" if share else "--set run.device=cpu",
        )
    return sorted(share, key=lambda gpu: (len(gpu.processes) > 0, -gpu.free_bytes, gpu.index))


def _named(entry: str, every: Sequence[Gpu], share: Sequence[Gpu]) -> Gpu:
    gpu = named(every, entry)
    if gpu is None:
        known = ", ".join(str(gpu.index) for gpu in every) or "none"
        raise BadInput(
            f"run.gpus: this machine has no GPU {one_line(entry, NAME_CELLS)}",
            f"choose from {known}; {command('doctor')} shows their UUIDs",
        )
    if gpu not in share:
        raise BadInput(
            f"run.gpus: GPU {gpu.index} is not available here: {_share_text(every, share)}",
            "choose one of these, or leave run.gpus unset",
        )
    return gpu


def _share_text(every: Sequence[Gpu], share: Sequence[Gpu]) -> str:
    """Says which GPUs this process may use, and what decides that."""
    if len(share) == len(every):
        return f"this machine has {counted(len(every), 'GPU')}"
    cause = VISIBLE if VISIBLE in original_environment() else "the SLURM job"
    allowed = ", ".join(str(gpu.index) for gpu in share)
    return f"{cause} allows {f'only {allowed}' if share else 'none'}"


def _memory_taken(gpu: Gpu) -> str:
    """Says why no run fits on a GPU beside what runs there, "" where one does."""
    if gpu.is_exclusive and gpu.processes:
        return f"reserved for {_users(gpu.processes)} (compute mode)"
    if gpu.free_bytes >= LEAST_FREE * gpu.total_bytes:
        return ""
    used = gib(gpu.total_bytes - gpu.free_bytes)
    owner = _owner(gpu)
    by = owner or (_users(gpu.processes) if gpu.processes else "a process that NVML does not show")
    return f"{used} of {gib(gpu.total_bytes)} in use by {by}"


def gib(count: float) -> str:
    """Returns bytes as `79.6 GiB`."""
    return f"{count / 2**30:.1f} GiB"


def _owner(gpu: Gpu) -> str:
    """Says which run holds the lock of a GPU, "" where none does."""
    owner = owner_of(gpu.uuid)
    if owner is None:  # the file may be empty: its disk is full, or the run is just starting
        return OTHER_RUN if is_locked(gpu.uuid) else ""
    held = duration(max(0.0, time.time() - owner.since))
    return f"run {owner.run} of {_user(owner.uid)} (process {owner.pid}, for {held})"


def _users(processes: Sequence[GpuProcess]) -> str:
    """Names the processes that use a GPU, those with the most memory first."""
    ordered = sorted(processes, key=lambda each: -(each.used_bytes or 0))
    texts = [_process(each.pid) for each in ordered[:SHOWN_PROCESSES]]
    more = len(ordered) - len(texts)
    return ", ".join(texts) + (f" and {more} more" if more else "")


def _process(pid: int) -> str:
    import psutil

    try:
        process = psutil.Process(pid)
        name, user = process.name(), process.username()
    except (psutil.Error, KeyError):  # it has ended, or belongs to another container
        return f"process {pid}"
    return f"{one_line(name, NAME_CELLS)} of {one_line(user, NAME_CELLS)} (process {pid})"


def _user(uid: int) -> str:
    import pwd

    try:
        return one_line(pwd.getpwuid(uid).pw_name, NAME_CELLS)
    except KeyError:
        return f"user {uid}"
