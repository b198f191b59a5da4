"""The models of tiny.yaml: random weights, always the same, and a tokenizer of a thousand words.

Usage: tiny.py OUTPUT_FOLDER   (a folder for each model)
"""

import json
import os
import sys
from pathlib import Path

import torch
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

# The configurations call the first padding and the third the end.
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT = (
    "{%- for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer(size: int) -> PreTrainedTokenizerFast:
    """Byte pairs of some of Python's own source."""
    pairs = Tokenizer(models.BPE())
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    pairs.train([str(file) for file in sorted(Path(os.__file__).parent.glob("*.py"))[:20]], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=pairs, eos_token=SPECIAL[2], pad_token=SPECIAL[0], chat_template=CHAT)


def write(config: dict, target: Path) -> None:
    """Weights of the configuration's shapes, and the configuration as it stands, not as transformers would save it."""
    target.mkdir(parents=True)
    file = target / "config.json"
    file.write_text(json.dumps(config, indent=2) + "\n")
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(target), dtype=torch.bfloat16).save_pretrained(target)
    file.write_text(json.dumps(config, indent=2) + "\n")


for name, config in yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text()).items():
    if name.startswith("."):
        continue
    folder = Path(sys.argv[1]) / name
    write(config, folder)
    tokenizer(config["vocab_size"]).save_pretrained(folder)
    # The weights are written for their owner alone; an engine that is not root copies them too.
    for file in folder.iterdir():
        file.chmod(0o644)
