"""Coverage-guided fuzzing of all code that reads others' input.

Each module here is a target: `check(data)` raises for everything its docstring does not allow.
`script/fuzz` runs them with atheris; tests/unit/test_fuzz.py replays fixtures/fuzz without it. To
add a target, add a module with a `check`, its name in `TARGETS`, and a directory of seeds. A target
for code in C is a file in C, which `fuzz.build` compiles with libFuzzer; its name is in `COMPILED`.
"""

TARGETS = (
    "record", "arguments", "status", "response", "settings", "request", "wire",
    "keyblock", "paste", "packets", "decrypted", "stack", "otpfile", "smstoml", "gateway", "phones",
    "recoveryfile", "gracefile", "modules",
)  # fmt: skip
COMPILED = ("frames",)
