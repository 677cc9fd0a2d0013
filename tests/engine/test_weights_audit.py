"""How far an adapter moved the weights, against norms of the whole matrices."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.train


def test_sizes_are_the_norms_of_the_products_relative_to_the_weights() -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from torch import nn

    from tui_loop.engine.weights_audit import weights_audit

    torch.manual_seed(0)
    base = nn.Sequential()
    base.add_module("one", nn.Linear(6, 5, bias=False))
    base.add_module("two", nn.Linear(5, 4, bias=False))
    model = get_peft_model(base, LoraConfig(r=2, lora_alpha=6, target_modules=["one", "two"]))
    expected = {}
    for name in ("one", "two"):
        layer = getattr(model.base_model.model, name)
        up = layer.lora_B["default"].weight
        torch.nn.init.normal_(up)
        change = 3.0 * up @ layer.lora_A["default"].weight
        expected[name] = float((change.norm() / layer.get_base_layer().weight.norm()).detach())
    found = weights_audit(model)
    assert found.trained == 2 * (6 + 5) + 2 * (5 + 4)
    assert found.parameters == found.trained + 30 + 20
    assert [each.name for each in found.moved] == ["one", "two"]
    for each in found.moved:
        assert each.layers == 1
        assert each.least == each.median == each.most
        assert each.median == pytest.approx(expected[each.name], rel=1e-3)


def test_a_fresh_adapter_has_moved_nothing_and_a_model_without_one_has_no_sizes() -> None:
    from peft import LoraConfig, get_peft_model
    from torch import nn

    from tui_loop.engine.weights_audit import weights_audit

    plain = nn.Sequential(nn.Linear(3, 3))
    assert weights_audit(plain).moved == ()
    assert weights_audit(plain).trained == weights_audit(plain).parameters == 12
    fresh = get_peft_model(nn.Sequential(nn.Linear(3, 3)), LoraConfig(r=1, target_modules=["0"]))
    [moved] = weights_audit(fresh).moved
    assert (moved.name, moved.median) == ("0", 0.0)
