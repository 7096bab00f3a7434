#!/usr/bin/env python3
"""Writes reference.json beside it: small tokenizers, trained here, of the families that models have, and what the published tokenizers makes
of texts with them. The corpus is the project's own documentation and a few sentences in other scripts; a seed makes the texts that are drawn.
Needs requirements.txt. --more FILE.json TEXTS adds a tokenizer of yours, --count so many drawn texts."""

import argparse
import io
import json
import random
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from sentencepiece import sentencepiece_model_pb2

HERE = Path(__file__).parent
ROOT = HERE / "../../../.."
dice = random.Random(11)

FOREIGN = [
    "Z\u00fcrich \u2014 na\u00efve caf\u00e9, d\u00e9j\u00e0 vu; \u201cquoted\u201d \u2026 and \u00a35 \u00bd",
    "\u4eca\u5929\u5929\u6c14\u5f88\u597d\u3002Tokyo\u306f\u6771\u4eac\u3067\u3059\uff01 \uff21\uff22\uff23\uff11\uff12\uff13",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u0391\u03b8\u03ae\u03bd\u03b1 \u039f\u0394\u039f\u03a3",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645 \u05e9\u05c1\u05dc\u05d5\u05b9\u05dd",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01",
    "\uc548\ub155\ud558\uc138\uc694 \u1112\u1161\u11ab \uac00\u0301",
    "e\u0301a\u0308o\u0302 \u1e9b\u0323 \ufb01n \u2460 \u24b6 \u2167 \u00b2 \ufdfa \u0130\u0131",
    "\U0001f600\U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e8\U0001f1ed",
]
PLAIN = [
    "", " ", "  ", "\n", "\r\n", "a", "Hello, world!", "  leading and trailing  ", "I'll, you're; we've don't IT'S O'Neill",
    "x=1234567890; y = 3.14e-10 // 50%", "tabs\tand\nnewlines\r\nand\u00a0non-breaking\u3000spaces", "snake_case camelCase CONSTANT_CASE",
    "a" * 99, "b" * 100, "c" * 101, "d" * 300, "[CLS] hello [SEP] [MASK] [UNK][PAD]", "hello<mask>there <mask> <s>x</s>",
    "<|endoftext|>text<|endoftext|>", "\u0000zero\u200bwidth\ufffd\u00adsoft\ufeff", "....---!!!???", "$10 + \u20ac5 ~ `code` ^ <tag> | a",
    "http://example.com/a?b=c&d=%20#e", "\u2581already\u2581marked \u2581", "newmadeword new_made NEWmade madenew", "12 1234 12345678 \u0664\u0665",
    "line one\n\n\n   line two\n \n", "a\r\r\nb", "'s 'S 't \u2019s", "The unaffable unbelievably tokenization of pretraining",
]


def corpus() -> list[str]:
    text = "\n".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))
    return [line for line in text.splitlines() if line.strip()][:1500] + FOREIGN * 5


def drawn(count: int, lines: list[str]) -> list[str]:
    """Pieces of the corpus, and characters of many blocks."""
    blocks = [(0x20, 0x7F), (0x20, 0x7F), (0x09, 0x0E), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x590), (0x590, 0x700), (0x900, 0xA00),
              (0xE00, 0xE80), (0x1100, 0x1200), (0x1E00, 0x2070), (0x20A0, 0x2190), (0x2460, 0x2500), (0x3000, 0x3100),
              (0x4E00, 0x4F00), (0xAC00, 0xAD00), (0xFB00, 0xFB50), (0xFF00, 0xFFE0), (0x1F600, 0x1F650)]
    texts = []
    for _ in range(count):
        if dice.random() < 0.4:
            line = dice.choice(lines)
            start = dice.randrange(len(line))
            texts.append(line[start : start + dice.randrange(1, 90)])
        else:
            parts = []
            for _ in range(dice.randrange(1, 8)):
                low, high = dice.choice(blocks)
                parts.append("".join(chr(dice.randrange(low, high)) for _ in range(dice.randrange(1, 6))))
            texts.append(dice.choice(["", " "]).join(parts))
    return texts


def trained(tokenizer: Tokenizer, trainer: object, lines: list[str]) -> Tokenizer:
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


def bert(lines: list[str], cased: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=not cased)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trained(tokenizer, trainers.WordPieceTrainer(vocab_size=600, limit_alphabet=250, special_tokens=special, show_progress=False), lines)
    if cased:
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    else:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        tokenizer.enable_truncation(40)
        tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
        # Words that were added later, found in the normalised text; one of them by itself alone.
        tokenizer.add_tokens([AddedToken("newmade", single_word=True), AddedToken("\u00c9t\u00e9", rstrip=True)])
    return tokenizer


def bytes_of(lines: list[str], kind: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(ignore_merges=kind == "cl100k"))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if kind == "cl100k":
        pattern = (
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=kind == "roberta-spaced")
    special = ["<|endoftext|>"] if kind in ("gpt2", "cl100k") else ["<s>", "<pad>", "</s>", "<unk>"]
    trained(tokenizer, trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, special_tokens=special, show_progress=False), lines)
    if kind == "gpt2":
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
        tokenizer.normalizer = normalizers.NFC()
    elif kind == "cl100k":
        template = processors.TemplateProcessing(single="<|endoftext|> $A", pair="<|endoftext|> $A <|endoftext|>:1 $B:1", special_tokens=[("<|endoftext|>", 0)])
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    else:
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
        tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
        tokenizer.enable_truncation(30, strategy="only_first" if kind == "roberta-spaced" else "longest_first", direction="left")
    return tokenizer


def unigram(lines: list[str], precompiled: bytes | None) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    steps = [normalizers.Precompiled(precompiled)] if precompiled else [normalizers.Nmt(), normalizers.NFKC(), normalizers.StripAccents()]
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(Regex(" {2,}"), " ")])
    scheme = "always" if precompiled else "first"
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=not precompiled)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trained(tokenizer, trainers.UnigramTrainer(vocab_size=700, special_tokens=special, unk_token="<unk>", show_progress=False), lines)
    template = {"single": "<s> $A </s>", "pair": "<s> $A </s> </s> $B </s>", "special_tokens": [("<s>", 0), ("</s>", 2)]}
    tokenizer.post_processor = processors.TemplateProcessing(**template)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    return tokenizer


def metaspace_bpe(lines: list[str]) -> Tokenizer:
    """As Llama 2's: no splitting, bytes of what is unknown."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    special = ["<unk>", "<s>", "</s>", *[f"<0x{byte:02X}>" for byte in range(256)]]
    trainer = trainers.BpeTrainer(vocab_size=900, limit_alphabet=120, special_tokens=special, show_progress=False)
    split = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.pre_tokenizer = split
    trained(tokenizer, trainer, lines)
    whole = json.loads(tokenizer.to_str())
    whole["pre_tokenizer"] = None
    whole["added_tokens"] = [one for one in whole["added_tokens"] if not one["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(whole))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    return tokenizer


def clip(lines: list[str]) -> Tokenizer:
    """As CLIP's: what is found are the words, and what is between them goes; then bytes, and the end of a word is in its tokens."""
    tokenizer = Tokenizer(models.BPE(unk_token="<|endoftext|>", continuing_subword_prefix="", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    words = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    split = pre_tokenizers.Split(Regex(words), "removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    special = ["<|startoftext|>", "<|endoftext|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=900, initial_alphabet=alphabet, special_tokens=special, end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer = trained(tokenizer, trainer, lines)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("<|endoftext|>", tokenizer.token_to_id("<|endoftext|>")),
        ("<|startoftext|>", tokenizer.token_to_id("<|startoftext|>")),
        trim_offsets=False,
        add_prefix_space=False,
    )
    return tokenizer


def suffixed_bpe(lines: list[str]) -> Tokenizer:
    """The end of a word is in its tokens, without bytes."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation("contiguous")]
    )
    special = ["<unk>", "<pad>"]
    trainer = trainers.BpeTrainer(vocab_size=500, limit_alphabet=100, special_tokens=special, end_of_word_suffix="</w>", show_progress=False)
    return trained(tokenizer, trainer, lines)


def words(lines: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Split("e", "merged_with_previous"),
            pre_tokenizers.Split(Regex("[aou]"), "merged_with_next"),
            pre_tokenizers.CharDelimiterSplit("-"),
            pre_tokenizers.Digits(),
        ]
    )
    return trained(tokenizer, trainers.WordLevelTrainer(vocab_size=300, special_tokens=["<unk>"], show_progress=False), lines)


def charsmap() -> bytes:
    """A small map of characters as SentencePiece compiles it: some forms of NFKC, and white space."""
    rules = {"\u00a0": " ", "\u3000": " ", "\t": " ", "\r": " ", "\n": " ", "\u200b": "", "\ufb01": "fi", "e\u0301": "\u00e9", "a\u0308": "\u00e4",
             "\u2460": "1", "\u2026": "...", "\u00bd": "1\u20442", "\uff21": "A", "\uff22": "B", "\u24b6": "A"}
    table = HERE / "rules.tsv"
    code = lambda text: " ".join(f"{ord(one):X}" for one in text)
    table.write_text("".join(f"{code(key)}\t{code(value)}\n" for key, value in sorted(rules.items())))
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["hello world of tokens"] * 20), model_writer=made, vocab_size=20, hard_vocab_limit=False,
        normalization_rule_tsv=str(table), minloglevel=2,
    )
    table.unlink()
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(made.getvalue())
    return model.normalizer_spec.precompiled_charsmap


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--more", nargs="*", default=[], help="further tokenizer.json files")
    parser.add_argument("--count", type=int, default=60, help="texts that are drawn")
    parser.add_argument("--output", type=Path, default=HERE / "reference.json")
    arguments = parser.parse_args()
    lines = corpus()
    made = {
        "bert-uncased": bert(lines, False),
        "bert-cased": bert(lines, True),
        "gpt2": bytes_of(lines, "gpt2"),
        "roberta": bytes_of(lines, "roberta"),
        "roberta-spaced": bytes_of(lines, "roberta-spaced"),
        "cl100k": bytes_of(lines, "cl100k"),
        "unigram": unigram(lines, None),
        "xlm-roberta": unigram(lines, charsmap()),
        "llama": metaspace_bpe(lines),
        "clip": clip(lines),
        "suffixed": suffixed_bpe(lines),
        "words": words(lines),
    }
    made |= {Path(name).stem + f"-{at}": Tokenizer.from_file(name) for at, name in enumerate(arguments.more)}
    texts = PLAIN + FOREIGN + drawn(arguments.count, lines)
    cases = []
    for name, tokenizer in made.items():
        for at, text in enumerate(texts):
            tokenizer.no_padding()
            cases.append({"tokenizer": name, "text": text, "pair": None} | encoded(tokenizer, text, None))
            if at % 5 == 0:
                pair = texts[at * 7 % len(texts)]
                found = encoded(tokenizer, text, pair)
                cases.append({"tokenizer": name, "text": text, "pair": pair} | found)
    files = {name: json.loads(tokenizer.to_str()) for name, tokenizer in made.items()}
    body = ",\n".join(json.dumps(case) for case in cases)
    tokenizers = ",\n".join(f"{json.dumps(name)}: {json.dumps(file)}" for name, file in files.items())
    arguments.output.write_text(f'{{"tokenizers": {{\n{tokenizers}\n}}, "cases": [\n{body}\n]}}\n')
    print(f"wrote {len(cases)} cases of {len(made)} tokenizers, {arguments.output.stat().st_size} bytes")


def encoded(tokenizer: Tokenizer, text: str, pair: str | None) -> dict:
    try:
        found = tokenizer.encode(text, pair)
    except BaseException as error:  # What it refuses is to be refused: a panic of it too.
        return {"error": str(error)}
    return {"ids": found.ids, "types": found.type_ids}


if __name__ == "__main__":
    main()
