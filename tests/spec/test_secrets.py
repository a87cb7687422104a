"""Credentials are recognised and masked; what only looks like one is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.spec.secrets import has_secret, masked

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nq83v\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
SECRETS = [
    "hf_" + "a" * 34,
    "api_org_" + "a" * 34,
    "sk-proj-" + "A1" * 20,
    "sk-or-v1-" + "0f" * 32,
    "sk_live_" + "4eC39HqLyjWDarjt",
    "rk_test_" + "4eC39HqLyjWDarjt",
    "ghp_" + "b" * 36,
    "github_pat_" + "11ABCDEFG0_" + "b" * 40,
    "wandb_v1_" + "Ab3" * 20,
    "AKIA" + "ABCD" * 4,
    "xoxb-1234567890-abc",
    "glpat-" + "c" * 20,
    "npm_" + "d4" * 18,
    "pypi-AgEI" + "cHlwaS5vcmc" * 3,
    "dapi" + "0a" * 16,
    JWT,
    PEM,
    PEM.partition("-----END")[0],
]
ASSIGNMENTS = [
    ("WANDB_API_KEY=", "0123456789abcdef0123456789abcdef01234567"),
    ("aws_secret_access_key: ", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ('"password": "', "correct8horse9battery"),
    ("HF_TOKEN=", "Zm9vYmFyMTIzNDU2Nzg5"),
    ("AccountKey=", "Zm9vYmFyMTIzNDU2Nzg5MA=="),
    ("Authorization: Bearer ", "Zm9vYmFyMTIzNDU2Nzg5"),
    ("https://", "me:hunter2@"),
    ("postgres://", "admin:p4ss!w@"),
    ("https://", ":token@"),
]
WORDS = """
the
task
sk-learn
sk
half_hf_something
token
tokens:
secret
password
key
ghost
eye
eyJ
https://example.org/a@b
git@github.com:a/b.git
ssh://git@example.org/a
http://[::1]:80/x
@
AKIA
Salesforce/wikitext
data.source.revision
begin a PRIVATE KEY
sk-transformers-baseline-v2
sk-internationalization
password = read_password()
secret: /home/me/keys/v1/file
api_key=settings.wandb_api_key_v2
env:WANDB_API_KEY
api_key: env:HF_TOKEN
api_key=${WANDB_API_KEY_2}
b08601e04326c79dfdd32d625aee71d232d685c3
revision: b08601e04326c79dfdd32d625aee71d232d685c3
""".splitlines()


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["token {}.", "{}", "'{}'", "x={}", "a\n{}\nb"])
def test_credentials_are_recognised_and_masked(secret: str, around: str) -> None:
    text = around.format(secret)
    shown = masked(text)
    assert has_secret(text)
    assert not any(line in shown for line in secret.splitlines())
    assert (len(shown), shown.count("\n")) == (len(text), text.count("\n"))


@pytest.mark.parametrize(("name", "secret"), ASSIGNMENTS)
def test_what_a_name_or_an_address_calls_a_credential_is_masked_and_its_name_stays(name: str, secret: str) -> None:
    text = f"x {name}{secret}"
    shown = masked(text)
    assert has_secret(text)
    assert secret not in shown
    assert shown.startswith(f"x {name}**")
    assert len(shown) == len(text)


@given(st.text(st.sampled_from("0123456789abcdef"), min_size=7, max_size=64), st.sampled_from(["", "sha256:", "revision: ", "at "]))
def test_revisions_and_digests_are_no_credentials(digest: str, before: str) -> None:
    assert not has_secret(before + digest)
    assert masked(before + digest) == before + digest


@given(st.lists(st.sampled_from(WORDS), max_size=6), st.sampled_from([" ", ", ", "; ", "\n"]))
def test_ordinary_text_and_references_are_no_credentials(words: list[str], between: str) -> None:
    text = between.join(words)
    assert not has_secret(text)
    assert masked(text) == text


@given(st.text(max_size=60))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    assert masked(masked(text)) == masked(text)
