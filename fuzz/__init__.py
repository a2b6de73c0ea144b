"""Coverage-guided fuzzing of all that reads what somebody else has written.

Each module here is a target: `check(data)` raises for whatever its docstring does not allow.
`script/fuzz` runs them with atheris; tests/unit/test_fuzz.py replays fixtures/fuzz without it. A
new target is one more module with a `check`, its name in `TARGETS`, and a directory of seeds.
"""

TARGETS = (
    "record", "arguments", "status", "response", "settings", "request", "wire",
    "keyblock", "paste", "packets", "decrypted", "stack", "otpfile", "smstoml", "gateway", "phones",
)  # fmt: skip
