"""The open families: problems by which the diagnosis is developed.

Their faults may be read and printed; a diagnosis is scored on the sealed sets.
"""

from __future__ import annotations

from scripts.planted.families.family import DataEdit, Family, Later, sound_train
from scripts.planted.families.open_rows import ROWS
from scripts.planted.families.open_settings import SETTINGS
from scripts.planted.families.row_changes import new_rows, relabelled

MIXED_UP = {
    "payments": "orders",
    "orders": "parcels",
    "parcels": "repairs",
    "repairs": "front desk",
    "front desk": "payments",
}

LINEAGE = (
    Family(
        name="open-ruined-start",
        fault="The second iteration starts from the adapter that the first one ruined by the "
        "learning rate `strength`.",
        cause="start from a ruined adapter",
        task="stars",
        strength=0.5,
        settings={"training.learning_rate": 0.5, "run.on_divergence": "continue"},
        later=(Later(settings={"training.learning_rate": 5e-3, "model.init_adapter": 1}),),
        remedies={"model.init_adapter": (None,)},
    ),
    Family(
        name="open-one-of-several-changes",
        fault="The second iteration changes rank, schedule, warm-up and weight decay; the decay of "
        "`strength` harms.",
        cause="weight_decay, one of several changes",
        task="urgency",
        strength=100,
        later=(
            Later(
                settings={
                    "lora.r": 8,
                    "lora.lora_alpha": 16,
                    "training.lr_scheduler_type": "cosine",
                    "training.warmup_steps": 0.1,
                    "training.weight_decay": 100,
                }
            ),
        ),
        remedies={"training.weight_decay": (0, 1)},
    ),
    Family(
        name="open-harmful-new-rows",
        fault="The second iteration has as many new rows as old ones, of which a share `strength` "
        "names the wrong team.",
        cause="wrong labels of new rows",
        task="route",
        strength=1,
        later=(Later(train=new_rows("route", 1, relabelled(MIXED_UP))),),
        remedies={
            DataEdit.FIX_LABELS: True,
            DataEdit.REMOVE_CONFLICTS: True,
            "data.train": ("data/open-harmful-new-rows-1-train.jsonl",),
        },
        edits={
            DataEdit.FIX_LABELS: sound_train("route", 0),
            DataEdit.REMOVE_CONFLICTS: sound_train("route", 0),
        },
    ),
)

OPEN: tuple[Family, ...] = (*SETTINGS, *ROWS, *LINEAGE)
"""The set `open`."""
