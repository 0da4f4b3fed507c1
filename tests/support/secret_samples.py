"""Secrets of many kinds that are none, and documents that hypothesis puts them into."""

from __future__ import annotations

import json
import re
import string
from base64 import urlsafe_b64encode

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from git_copilot.index.secrets import detectors as secret_detectors
from git_copilot.index.secrets.detectors import detectors

# Put together here, so that no scanner takes this file for a leak.
AWS, GITHUB = "AKIA" + "Q7ZL2M4N8P3R5T6V", "ghp_" + "a1B2c3D4e" * 4
STRIPE = "sk_live_" + "a1B2c3D4" * 3
HEX = "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"
BASE64 = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzT9kQ2v8sL"
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiI0MiJ9." + "4Adcj3UFYzPUVaVF43FmMab6RlaQD8A9V8wFzzht"
BEGIN, END = "-----BEGIN RSA PRIVATE " + "KEY-----", "-----END RSA PRIVATE " + "KEY-----"
KEY = [BEGIN, "MIIEpAIBAAKCAQEA1c7+9z5Pad7OejecsQ0buozX", "WLlwCPGeYpRNM4DSMIF=", END]
NAMES = ("password", "db_pass", "API_KEY", "clientSecret", "pwd", "auth_key2", "contraseña", "note",
         "my_token", "aws_secret_access_key", "cl_key", "softlayer_api_key", "privateKey", "key")  # fmt: skip
TEMPLATES = ("{n} = \"{v}\"", "{n}='{v}'", "{n}: {v}", '"{n}": "{v}",', "export {n}={v}", "{n} := {v}",
             'if ("{v}" == {n}) {{', "char {n}[9] = \"{v}\";", "{n} => '{v}';", "// {v}", "f(`{v}`, {n})",
             "https://{n}:{v}@example.org/", '{n}("{v}");', "//r.org/:_authToken={v}", "- {v} # {n}", "{v}")  # fmt: skip


def values_like_secrets():
    """Strings that match the pattern of a detector, random text, and words."""
    patterns = [
        pattern
        for detector in detectors().values()
        for pattern in getattr(detector.plugin, "denylist", ())
    ] + [re.compile(pattern) for _, pattern in secret_detectors.OWN.values()]
    base64 = string.ascii_letters + string.digits + "+/=-_"
    part = st.builds(
        lambda key, value: (
            urlsafe_b64encode(json.dumps({key: value}).encode()).rstrip(b"=").decode()
        ),
        st.text(string.ascii_letters, min_size=1),
        st.text(max_size=9),
    )
    return st.one_of(
        st.builds(lambda *parts: ".".join(parts), part, part, st.just("c2lnbmF0dXJl")),
        *(st.from_regex(pattern, alphabet=string.printable[:95]) for pattern in patterns),
        st.text(base64, min_size=20, max_size=60),
        st.text("0123456789abcdef", min_size=8, max_size=70),
        st.text(string.printable[:95] + "éıſKİ", max_size=20),
        st.sampled_from(["hunter2", "secret", JWT, HEX, BASE64, AWS, GITHUB, "{x}", "$X", *KEY]),
    )


@st.composite
def documents(draw):
    lines = []
    for _ in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from(NAMES))
        name = draw(st.sampled_from([name, name.upper(), name.title(), name.replace("s", "ſ")]))
        value = draw(values_like_secrets()).replace("\n", " ")
        lines.append(draw(st.sampled_from(TEMPLATES)).format(n=name, v=value))
    return "\n".join(lines)


PATHS = st.sampled_from(["a.py", "a.go", "a.c", "a.cpp", "a.cs", "a.ts", "a.yaml", "a.sh", ""])
MANY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)  # fmt: skip
