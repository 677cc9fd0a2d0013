"""What SLURM's commands print, and what follows from it; the commands are stand-ins here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_loop.core.errors import BadInput
from tui_loop.core.slurm import commands
from tui_loop.core.slurm.commands import JobState, NoSlurm, cancel, states, submit


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Puts a shell script in place of a command, alone on the PATH with the shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")

    def make(name: str, content: str) -> None:
        program = folder / name
        program.write_text(f"#!/bin/sh\n{content}\n")
        program.chmod(0o755)

    return make


def test_squeue_is_asked_once_for_all_jobs(stand_in, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    lines = (
        "12|PENDING|Priority|2026-11-30T14:05:00|1:00:00||N/A",
        "13|RUNNING|None|2026-11-30T10:00:00|3:55:00|node1|2026-11-30T18:00:00",
        "14|COMPLETED|None|N/A|0:00|node1|N/A",
        "15|PENDING|BeginTime|N/A|UNLIMITED||N/A",
        "16_1|PENDING|x|N/A|N/A||N/A",
        "nonsense",
    )
    text = "\n".join(lines)
    stand_in("squeue", f"echo \"$@\" >> {tmp_path}/asked\ncat <<'X'\n{text}\nX")
    found = states(["13", "12", "14", "15", "12"])
    assert found == {
        "12": JobState("12", "PENDING", "Priority", "2026-11-30T14:05:00"),
        "13": JobState("13", "RUNNING", left="3:55:00", node="node1"),
        "14": JobState("14", "COMPLETED", left="0:00", node="node1"),
        "15": JobState("15", "PENDING", "BeginTime"),
    }
    assert (tmp_path / "asked").read_text().count("-j 12,13,14,15") == 1
    assert [each.words for each in found.values()] == [
        "job 12 waits (Priority), expected start 2026-11-30T14:05:00",
        "job 13 running on node1, 3:55:00 left",
        "job 14 has ended (completed)",
        "job 15 waits (BeginTime)",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", {}),
        ("echo 'Unable to contact slurm controller' >&2; exit 1", None),
        ("exit 0", {}),
        ("sleep 5", None),
    ],
)
def test_no_answer_is_not_the_answer_that_there_is_no_such_job(  # type: ignore[no-untyped-def]
    stand_in, monkeypatch: pytest.MonkeyPatch, content: str, expected: dict[str, JobState] | None
) -> None:
    monkeypatch.setattr(commands, "SECONDS", 0.5)
    stand_in("squeue", content)
    assert states(["12"]) == expected


def test_without_jobs_nothing_is_asked(stand_in) -> None:  # type: ignore[no-untyped-def]
    stand_in("squeue", "exit 1")
    assert states([]) == {}


def test_control_characters_of_squeue_reach_no_screen(stand_in) -> None:  # type: ignore[no-untyped-def]
    stand_in("squeue", "printf '12|PENDING|\\033[2Jx|N/A|N/A||N/A\\n'")
    found = states(["12"])
    assert found is not None
    assert "\x1b" not in found["12"].words


def test_sbatch_gives_the_job_or_its_reason(stand_in, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    script = "#!/bin/bash\n"
    stand_in("sbatch", f"cat > {tmp_path}/script; echo '12;cluster'")
    assert submit(script, tmp_path) == "12"
    assert (tmp_path / "script").read_text() == script
    stand_in("sbatch", "echo 'sbatch: error: invalid partition specified: x' >&2; exit 1")
    with pytest.raises(BadInput, match="invalid partition specified: x"):
        submit(script, tmp_path)
    stand_in("scancel", "echo 'scancel: error: Kill job error' >&2; exit 1")
    with pytest.raises(BadInput, match="Kill job error"):
        cancel("12")


def test_without_slurm_the_exit_code_is_5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoSlurm) as refused:
        submit("#!/bin/bash\n", tmp_path)
    assert refused.value.exit_code == 5
    assert "without --job" in refused.value.hint
    assert states(["12"]) is None
