"""The script of a job: its options, its end, and what it must never contain."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.slurm.script import script_of
from tui_loop.core.slurm.settings import SlurmSettings, slurm_settings

HEAD = """\
#!/bin/bash
#SBATCH --job-name=tui-loop:night/2
#SBATCH --comment=tui-loop:night/2
#SBATCH --chdir={root}
#SBATCH --output={root}/loops/night/002/output.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --ntasks=1
#SBATCH --signal=TERM@120
"""


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoopFolder:
    monkeypatch.setenv("TUI_LOOP_CONFIG", str(tmp_path / "config.toml"))
    return LoopsFolder(tmp_path / "loops").create("night", LoopSettings(metric="label"))


def test_a_script_has_its_options_and_its_own_end(loop: LoopFolder) -> None:
    settings = SlurmSettings(sbatch="--partition=a -t 4:00:00", setup=["module load cuda"])
    text = script_of(loop.iteration(2), settings, after=["7", "8"], python="/usr/bin/python3")
    head, _, body = text.partition("\n\n")
    assert f"{head}\n" == HEAD.format(root=loop.root) + (
        "#SBATCH --dependency=afterany:7:8\n#SBATCH --partition=a\n#SBATCH -t 4:00:00\n"
    )
    lines = [line for line in body.splitlines() if not line.startswith("#")]
    assert lines == [
        "module load cuda",
        "srun --ntasks=1 --kill-on-bad-exit=1 --mpi=none /usr/bin/python3 -P -m "
        f"tui_loop.engine.host {loop.path} 2 --job",
        "code=$?",
        "restarts=${SLURM_RESTART_COUNT:-0}",
        'if [ "$code" = 75 ] && [ "$restarts" -lt 20 ]; then',
        '    scontrol requeue "$SLURM_JOB_ID" && sleep 60',
        "fi",
        'exit "$code"',
    ]
    assert "trap" not in "\n".join(lines)


@pytest.mark.parametrize(
    ("code", "restarts", "requeued"),
    [
        (75, "", True),
        (75, "1", True),
        (75, "2", False),
        (3, "", False),
        (0, "", False),
        (1, "", False),
    ],
)
def test_it_requeues_itself_after_a_save_alone_and_not_for_ever(
    loop: LoopFolder, tmp_path: Path, code: int, restarts: str, requeued: bool
) -> None:
    for name, content in (
        ("srun", f"exit {code}"),
        ("scontrol", f'echo "$@" >> {tmp_path}/asked; exit 1'),  # and so the script does not wait
    ):
        program = tmp_path / name
        program.write_text(f"#!/bin/bash\n{content}\n")
        program.chmod(0o755)
    text = script_of(loop.iteration(2), SlurmSettings(requeues=2))
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "12"}
    environment.pop("SLURM_RESTART_COUNT", None)
    if restarts:
        environment["SLURM_RESTART_COUNT"] = restarts
    done = subprocess.run(["bash"], input=text, text=True, env=environment, check=False)
    assert done.returncode == code
    asked = tmp_path / "asked"
    assert (asked.read_text() if asked.exists() else "") == ("requeue 12\n" if requeued else "")


def test_a_path_with_blanks_stays_one_word(tmp_path: Path) -> None:
    folder = tmp_path / "my loops" / "loops"
    folder.parent.mkdir()
    loop = LoopsFolder(folder).create("night", LoopSettings(metric="label"))
    text = script_of(loop.iteration(1), SlurmSettings(sbatch="--comment='two words'"))
    assert f'#SBATCH --chdir="{loop.root}"' in text
    assert '#SBATCH --comment="two words"' in text
    assert f"tui_loop.engine.host '{loop.path}' 1 --job" in text


def test_the_options_of_user_loop_and_command_follow_each_other(
    loop: LoopFolder, tmp_path: Path
) -> None:
    assert slurm_settings(loop) == SlurmSettings()
    (tmp_path / "config.toml").write_text(
        '[slurm]\nsbatch = "--account=me"\nsetup = ["module load a"]\nrequeues = 3\n'
    )
    with loop.settings_file.open("a") as file:
        file.write('\n[slurm]\nsbatch = "--time=2:00:00"\n')
    found = slurm_settings(loop, "--time=1:00:00 --mem 4G")
    assert found.options == ["--account=me", "--time=2:00:00", "--time=1:00:00", "--mem=4G"]
    assert (found.setup, found.requeues) == (["module load a"], 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sbatch = 7", "slurm: Expected `str`"),
        ("nodes = 2", "unknown field `nodes`"),
        ("requeues = -1", "slurm.requeues: must be at least 0"),
    ],
)
def test_a_wrong_table_is_refused_with_its_file(
    loop: LoopFolder, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "config.toml").write_text(f"[slurm]\n{text}\n")
    with pytest.raises(BadInput) as refused:
        slurm_settings(loop)
    assert said in refused.value.message
    assert str(tmp_path / "config.toml") in refused.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('setup = ["rm -rf ~"]', "only your own settings may have lines of bash"),
        ('sbatch = "--output=/home/me/.bashrc"', "--output=/home/me/.bashrc is not allowed"),
        ('sbatch = "-o x"', "-o x is not allowed"),
    ],
)
def test_the_settings_of_a_loop_run_and_write_nothing(
    loop: LoopFolder, text: str, said: str
) -> None:
    with loop.settings_file.open("a") as file:
        file.write(f"\n[slurm]\n{text}\n")
    with pytest.raises(BadInput, match=said):
        slurm_settings(loop)


@pytest.mark.parametrize(
    ("sbatch", "said"),
    [
        ("partition", "'partition' is no option"),
        ("--time=1 now", "'now' is no option"),
        ("--comment='open", "No closing quotation"),
        ("--comment='a\nb'", "control character"),
    ],
)
def test_what_is_no_option_is_refused(sbatch: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        _ = SlurmSettings(sbatch=sbatch).options
