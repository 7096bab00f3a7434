#!/usr/bin/env python3
"""Writes ../../src/tokenizer/categories.txt: which characters the published tokenizers takes for controls, accents, marks and punctuation,
asked one by one, so that the same version of Unicode counts here. Needs tokenizers (requirements.txt)."""

from pathlib import Path

from tokenizers import normalizers, pre_tokenizers

CLEAN = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
STRIP = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
MARKS = normalizers.StripAccents()
SPLIT = pre_tokenizers.Punctuation()

TESTS = {
    "control": lambda text: len(CLEAN.normalize_str(text)) == 2,
    "accent": lambda text: len(STRIP.normalize_str(text)) == 2,
    "mark": lambda text: len(MARKS.normalize_str(text)) == 2,
    "punctuation": lambda text: len(SPLIT.pre_tokenize_str(text)) == 3,
}


def ranges(test: object) -> list[str]:
    found: list[list[int]] = []
    for code in range(0x110000):
        if 0xD800 <= code < 0xE000 or not test(f"a{chr(code)}b"):
            continue
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return [f"{first:x}" if first == last else f"{first:x}-{last:x}" for first, last in found]


def main() -> None:
    lines = []
    for name, test in TESTS.items():
        line = name
        for one in ranges(test):
            if len(line) + len(one) > 120:
                lines.append(line)
                line = " "
            line += f" {one}"
        lines.append(line)
    path = Path(__file__).parent / "../../src/tokenizer/categories.txt"
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
