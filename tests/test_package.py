"""What is published says the same everywhere."""

import re
from pathlib import Path

import pytest
import yaml

import keras_kd

ROOT = Path(__file__).parent.parent


@pytest.fixture
def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_citation_has_what_the_format_requires(citation):
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= set(citation)
    assert citation["authors"]


def test_the_citation_is_of_this_version(citation):
    assert citation["version"] == keras_kd.__version__


def test_the_changes_of_this_version_are_told():
    heads = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert heads[0] == "Unreleased"
    assert keras_kd.__version__ in heads


def test_code_and_package_have_one_licence(citation):
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert f"license_expression = {citation['license']}\n" in setup
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text(encoding="utf-8")
