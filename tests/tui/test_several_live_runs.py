"""Several live runs: the header has the GPU of one and counts the others; keys go to that one."""

from __future__ import annotations

from tests.tui.conftest import OpenApp, Opened, ScriptedRun, on_app, scripted_iteration
from tui_loop.core.record.events import PhaseStarted, Progressed, RunStarted, UsedGpu
from tui_loop.core.record.folders import LoopFolder


def on_gpu(run: ScriptedRun, index: int) -> ScriptedRun:
    """Starts a run that has claimed a GPU."""
    run.does(
        RunStarted(
            loop=run.folder.loop.name,
            iteration=run.folder.number,
            attempt=1,
            pid=4711,
            host="box",
            gpus=(UsedGpu(index, f"GPU-{index}", "Fake GPU"),),
        ),
        PhaseStarted(name="training"),
        Progressed(phase="training", done=3, total=30),
    )
    return run


def test_the_header_and_the_keys_follow_the_selected_live_run(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        first = on_gpu(scripted_iteration(loop, "learning_rate=1e-4"), 3)
        second = on_gpu(scripted_iteration(loop, "learning_rate=2e-4"), 5)
        await opened.shows(f"▶ {second.folder.number} training 3/30", "gpu5", "+1 live")
        await opened.goes_to(first.folder.number)
        await opened.shows(f"▶ {first.folder.number} training 3/30", "gpu3", "+1 live")
        await opened.press("s")
        await opened.shows(f"Stop {first.folder.number}?")
        await opened.press("c")
        first.dies()
        await opened.shows(f"▶ {second.folder.number} training 3/30", "gpu5")
        assert "+1 live" not in "".join(opened.lines)
        second.dies()

    on_app(open_app(size=(240, 48), number=2), steps)
