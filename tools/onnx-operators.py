"""Prints the operators of ONNX in every version, as crates/onnx/src/lint/operators.txt has them: a line for each, with domain (ai.onnx as
nothing), name, since which operator set, inputs and outputs (least to most, * for any), and attributes with their types, those that are
required with a !. A name with a - before its version is one that was taken out. Needs onnx: python tools/onnx-operators.py > FILE"""

import onnx.defs

DOMAINS = ("", "ai.onnx.ml")


def count(least, most):
    return f"{least}-{'*' if most > 1000 else most}"


def line(schema):
    attributes = [f"{'!' if one.required else ''}{name}:{one.type.name}" for name, one in sorted(schema.attributes.items())]
    since = f"-{schema.since_version}" if schema.deprecated else str(schema.since_version)
    sides = count(schema.min_input, schema.max_input), count(schema.min_output, schema.max_output)
    return ";".join([schema.domain, schema.name, since, *sides, " ".join(attributes)])


schemas = [one for one in onnx.defs.get_all_schemas_with_history() if one.domain in DOMAINS]
schemas.sort(key=lambda one: (one.domain, one.name, one.since_version))
print(f"# onnx {onnx.__version__}: ai.onnx {onnx.defs.onnx_opset_version()}, ai.onnx.ml {onnx.defs.get_schema('TreeEnsemble', 'ai.onnx.ml').since_version}")
print("\n".join(map(line, schemas)))
