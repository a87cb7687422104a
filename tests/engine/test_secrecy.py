"""Masking: credentials by their form, and by the value that the environment holds under a name that says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.engine.repository import GitState
from specrun.engine.secrecy import Mask
from specrun.errors import DataError
from specrun.events import Alert, Message, Metrics, Status, StepRecord

CANARY = "hf_" + "C4narY" * 6
PLAIN = "0f1e2d3c4b5a69788796a5b4c3d2e1f001234567"
MASK = Mask.of({"WANDB_API_KEY": PLAIN, "HOME": "/home/somebody-of-note", "MY_TOKEN": "short", "TOKENIZERS_PARALLELISM": "true-or-not-so"})


def test_values_of_the_environment_s_credentials_are_masked_and_others_are_not():
    assert MASK.values == (PLAIN,)
    assert MASK.text(f"x={PLAIN} in /home/somebody-of-note, short") == f"x={'*' * 40} in /home/somebody-of-note, short"


@pytest.mark.parametrize("name", ["HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "db_password", "TOKEN", "AZURE_ACCOUNT_KEY"])
def test_names_of_credentials_are_known(name):
    assert Mask.of({name: PLAIN}).values == (PLAIN,)


def test_a_credential_that_holds_another_is_masked_whole():
    mask = Mask.of({"A_TOKEN": "abcdefghijkl", "B_TOKEN": "abcdefghijklmnop"})
    assert mask.text("abcdefghijklmnop") == "*" * 16


@pytest.mark.parametrize("secret", [CANARY, PLAIN])
def test_no_words_of_an_event_an_error_or_a_patch_keep_a_credential(secret):
    events = [Alert("warning", "c", secret), Message(secret), Status("failed", secret), StepRecord("a", "a", "k", "run", secret)]
    assert all(secret not in str(MASK.event(event)) for event in events)
    assert secret not in str(MASK.error(DataError(secret, code="c", hint=secret)))
    state = MASK.repository(GitState("c", dirty=True, patch=f"+{secret}\n", patch_encoding="utf-8"))
    assert state.patch == f"+{'*' * len(secret)}\n"
    assert "masked" in state.patch_reason


def test_figures_and_what_holds_no_credential_pass_as_they_are():
    event = Metrics(1, {"train/loss": 2.0})
    assert MASK.event(event) is event
    state = GitState("c", dirty=True, patch="+text\n", patch_encoding="utf-8")
    assert MASK.repository(state) is state


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([CANARY, f"a {PLAIN} b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just(f"/x/{CANARY}"), inner, max_size=3),
    max_leaves=12,
)


@given(trees)
def test_a_tree_keeps_its_shape_and_no_credential(tree):
    shown = MASK.tree(tree)
    assert CANARY not in repr(shown)
    assert PLAIN not in repr(shown)
    if CANARY not in repr(tree) and PLAIN not in repr(tree):
        assert shown == tree
