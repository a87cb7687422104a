"""Templates and schemas are found where a checkout or a wheel has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from specrun import resources


def test_a_checkout_has_its_templates_at_its_root() -> None:
    assert (resources.template_folder("report") / "report.html.j2").is_file()


def test_a_wheel_carries_its_templates_inside_and_they_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, beside = tmp_path / "specrun" / "_data", tmp_path
    for root in (inside, beside):
        (root / "templates" / "report").mkdir(parents=True)
        (root / "schemas").mkdir()
        (root / "schemas" / "experiment.schema.json").write_text("{}")
    monkeypatch.setattr(resources, "_ROOTS", (inside, beside))
    assert resources.template_folder("report") == inside / "templates" / "report"
    assert resources.schema_file("experiment.schema.json") == inside / "schemas" / "experiment.schema.json"


@pytest.mark.parametrize("name", ["absent", "../report", "/etc"])
def test_a_name_that_is_not_there_or_leads_out_is_refused(name: str) -> None:
    with pytest.raises(FileNotFoundError):
        resources.template_folder(name)
